"""What the offline model answers, where no generated project tests it."""

import pytest

from local.script import HINT, MEMORY_HINT, Reply, reply


def answer(text: str, *tools: str) -> Reply:
    functions = [{"function": {"name": tool}} for tool in tools]
    return reply([{"role": "user", "content": text}], functions)


def test_words_can_be_repeated() -> None:
    assert answer("/repeat 3") == Reply("word1 word2 word3")


def test_words_can_be_repeated_slowly() -> None:
    assert answer("/repeat 2 every 50 ms") == Reply("word1 word2", pause=50)


@pytest.mark.parametrize("text", ["/repeat 2 every 50", "/repeat 2 every -1 ms", "/repeat many"])
def test_a_malformed_command_is_an_ordinary_message(text: str) -> None:
    assert HINT in answer(text).text


def test_memory_is_mentioned_only_where_there_is_some() -> None:
    assert MEMORY_HINT in answer("hello", "save_user_memory").text
    assert "Remember" not in answer("hello").text


def test_a_tool_of_any_name_can_be_called() -> None:
    called = answer('/call get-forecast {"city": "Ghent"}', "get-forecast")
    assert called == Reply(calls=[("get-forecast", {"city": "Ghent"})])


@pytest.mark.parametrize("text", ["/call add 1 2", "/call add [1]", "/call add {1}"])
def test_a_malformed_call_is_answered_with_the_right_form(text: str) -> None:
    told = answer(text, "add")
    assert told.text and not told.calls
