"""What the offline model answers, where no generated project tests it."""

import httpx
import pytest

from local.script import HINT, MEMORY_HINT, NOTICE, Reply, reply
from tests.standins.model import open_standin_model


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


@pytest.mark.parametrize("text", ["Show me a table", "please give me a small table of colours"])
def test_it_shows_a_table_on_request(text: str) -> None:
    assert "| --- | --- |" in answer(text).text and NOTICE in answer(text).text


@pytest.mark.parametrize("text", ["Show me some code", "Write code in Python"])
def test_it_shows_code_on_request(text: str) -> None:
    code = answer(text).text.split("```")
    assert len(code) == 3 and "def " in code[1] and NOTICE in code[2]


def test_it_gives_a_long_answer_on_request() -> None:
    long = answer("Give me a long answer")
    assert len(long.text) > 5_000 and not long.cut_off


@pytest.mark.parametrize("text", ["Show me a limit", "Reach your limit, please"])
def test_it_runs_into_a_limit_on_request(text: str) -> None:
    assert answer(text).cut_off and answer(text).text[-1].isalpha()


@pytest.mark.parametrize(
    "text",
    [
        "My name is Ada",
        "Hello, my name is Ada.",
        "Hi! Call me Ada",
        "My name is Ada Lovelace and I like teal",
    ],
)
def test_it_greets_who_says_their_name(text: str) -> None:
    assert "Nice to meet you, Ada!" in answer(text).text and NOTICE in answer(text).text


def test_it_greets_by_a_name_that_it_was_told() -> None:
    told = [{"role": "user", "content": text} for text in ("My name is Ada", "hello")]
    assert reply(told, []).text.startswith("Hello, Ada!")


@pytest.mark.parametrize("text", ["hello", "the table is set", "there is a limit", "my name is"])
def test_it_shows_nothing_that_it_was_not_asked_for(text: str) -> None:
    assert answer(text).text.startswith(NOTICE)


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_was_cut_off_says_so(stream: bool) -> None:
    with open_standin_model() as model:
        body = {"messages": [{"role": "user", "content": "Show me a limit"}], "stream": stream}
        answered = httpx.post(f"{model.url}/chat/completions", json=body).text
    assert '"finish_reason": "length"' in answered.replace('":"', '": "')
