"""How much JSON a request may hold."""

import pytest

from agent_server.settings import limit
from agent_server.transport.json_bounds import check_json

VALUES, DEPTH = limit("MAX_REQUEST_VALUES"), limit("MAX_REQUEST_DEPTH")


@pytest.mark.parametrize(
    "json",
    [
        "",
        "{}",
        f"[{'1,' * (VALUES - 2)}1]",
        "[" * DEPTH + "]" * DEPTH,
        f"[{'[],' * DEPTH}1]",
        f'"{"{[,:" * VALUES}"',
        f'"{chr(92)}"{"{," * VALUES}"',  # the text begins with a quote
        f'["{chr(92) * 2}", "{"{," * VALUES}"]',  # the first text ends with a backslash
        f"{'}' * VALUES * 3}",
    ],
    ids=range(9),
)
def test_json_within_the_bounds_is_left_to_its_parser(json: str) -> None:
    check_json(json.encode())


@pytest.mark.parametrize(
    ("json", "named"),
    [
        (f"[{'1,' * VALUES}1]", "MAX_REQUEST_VALUES"),
        (f"[{'{},' * VALUES}1]", "MAX_REQUEST_VALUES"),
        (f'["a", "{chr(92)}"", {"1," * VALUES}1]', "MAX_REQUEST_VALUES"),
        (f'["{chr(92) * 2}", {"1," * VALUES}1]', "MAX_REQUEST_VALUES"),
        ("[" + '"",' * VALUES * 3, "MAX_REQUEST_VALUES"),
        ("[" * (DEPTH + 1), "MAX_REQUEST_DEPTH"),
        ('{"a":[' * DEPTH, "MAX_REQUEST_DEPTH"),
    ],
    ids=range(7),
)
def test_json_beyond_a_bound_is_refused_with_its_name(json: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        check_json(json.encode())


def test_several_texts_are_counted_together() -> None:
    half = f"[{'1,' * (VALUES * 2 // 3)}1]".encode()
    check_json(half)
    with pytest.raises(ValueError, match="MAX_REQUEST_VALUES"):
        check_json(half, half)


def test_only_utf_8_is_counted() -> None:
    with pytest.raises(ValueError, match="UTF-8"):
        check_json("[1]".encode("utf-16"))
