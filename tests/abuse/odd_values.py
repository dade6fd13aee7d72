"""Odd values for any place in JSON that is otherwise as it should be."""

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, 10**400, "", "\0", "\ud800", "x" * 10_000, [], [[]], {}, {"": {}}]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    ODD, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner)
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to each value in a JSON value."""
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = [place for key, held in inner for place in places(held, (*path, key))]
    return [path, *found] if path else found


def replaced(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return the JSON value with another value at one place."""
    body = json.loads(json.dumps(body))
    place = body
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return body
