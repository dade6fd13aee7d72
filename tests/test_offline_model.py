"""What the offline model answers, where no generated project tests it."""

import pytest

from local.script import HINT, Reply, reply


def answer(text: str) -> Reply:
    return reply([{"role": "user", "content": text}], [])


def test_words_can_be_repeated() -> None:
    assert answer("/repeat 3") == Reply("word1 word2 word3")


def test_words_can_be_repeated_slowly() -> None:
    assert answer("/repeat 2 every 50 ms") == Reply("word1 word2", pause=50)


@pytest.mark.parametrize("text", ["/repeat 2 every 50", "/repeat 2 every -1 ms", "/repeat many"])
def test_what_is_no_such_command_is_an_ordinary_message(text: str) -> None:
    assert HINT in answer(text).text
