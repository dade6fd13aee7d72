"""Merging one definition: where an owner's lines go when the lines around them changed."""

import pytest

from lakebase_agent.merging.lines.merge import merge, merge_texts
from lakebase_agent.merging.lines.places import PROSE
from lakebase_agent.merging.python.split import split

OLD = """\
def f(x):
    a = one(x)
    b = two(a)
    return b
"""
NEW = """\
async def f(x, y):
    a = one(x)
    b = await three(a, y)
    if b:
        log(b)
    return b
"""


def pieces(text: str) -> tuple[str, ...]:
    return split("m.py", text).units[-1].pieces


def merged(base: str, ours: str, theirs: str) -> str:
    """Return the merged definition; fail on a conflict."""
    result = merge(pieces(base), pieces(ours), pieces(theirs))
    assert not result.conflict, result.text
    return result.text


def insert(text: str, place: int, line: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join([*lines[:place], f"{line}\n", *lines[place:]])


@pytest.mark.parametrize(
    ("place", "expected"),
    [(1, 1), (2, 2), (3, 5), (4, 6)],
    ids=["first line", "behind what stayed", "before the return", "last line"],
)
def test_an_insertion_keeps_its_neighbour(place: int, expected: int) -> None:
    ours = insert(OLD, place, "    # Mine.")
    assert merged(OLD, ours, NEW) == insert(NEW, expected, "    # Mine.")


def test_an_insertion_is_indented_as_its_neighbour_is_now() -> None:
    theirs = "def f(x):\n    with x:\n        a = one(x)\n        return a\n"
    base = "def f(x):\n    a = one(x)\n    return a\n"
    ours = insert(base, 2, "    log(a)")
    assert merged(base, ours, theirs) == insert(theirs, 3, "        log(a)")


def test_an_insertion_behind_a_block_stays_behind_it() -> None:
    base = "def f(x):\n    for a in x:\n        one(a)\n    return x\n"
    theirs = "def f(x):\n    for a in x:\n        one(a)\n        two(a)\n    return x\n"
    ours = insert(base, 3, "    log(x)")
    assert merged(base, ours, theirs) == insert(theirs, 4, "    log(x)")


def test_an_insertion_never_lands_inside_a_statement() -> None:
    theirs = OLD.replace("two(a)", "two(\n        a,\n        x,\n    )")
    ours = insert(OLD, 3, "    mine = 1")
    assert "    )\n    mine = 1\n    return b\n" in merged(OLD, ours, theirs)


def test_a_comment_inside_a_statement_that_was_joined_stands_before_it() -> None:
    base = "def f():\n    return one(\n        1,\n        2,\n    )\n"
    ours = insert(base, 2, "        # Mine.")
    text = merged(base, ours, "def f():\n    return await_one(1, 2, 3)\n")
    assert text == "def f():\n        # Mine.\n    return await_one(1, 2, 3)\n"


def test_what_uses_a_name_that_is_gone_is_a_conflict() -> None:
    theirs = "def f(x):\n    return two(one(x))\n"
    result = merge(pieces(OLD), pieces(insert(OLD, 2, "    log(a)")), pieces(theirs))
    assert result.conflict
    assert "    log(a)\n" in result.pieces


def test_what_both_sides_added_is_there_once() -> None:
    ours = insert(OLD, 2, "    check(a)")
    theirs = insert(insert(OLD, 2, "    check(a)"), 1, "    start()")
    assert merged(OLD, ours, theirs) == theirs


def test_a_deletion_of_lines_that_stayed_is_done() -> None:
    ours = OLD.replace("    a = one(x)\n", "")
    assert merged(OLD, ours, NEW) == NEW.replace("    a = one(x)\n", "")


def test_a_change_of_a_line_that_changed_is_a_conflict() -> None:
    result = merge(pieces(OLD), pieces(OLD.replace("two(a)", "mine(a)")), pieces(NEW))
    assert result.conflict
    assert "<<<<<<< before updating\n    b = mine(a)\n=======\n" in result.text
    assert result.text.startswith("async def f(x, y):\n    a = one(x)\n<<<")


def test_other_languages_merge_line_by_line() -> None:
    base, theirs = "a {}\nb {}\n", "a {}\nb {}\nc {}\n"
    result = merge_texts(base, "a {}\n/* Mine. */\nb {}\n", theirs)
    assert (result.text, result.conflict) == ("a {}\n/* Mine. */\nb {}\nc {}\n", False)


def test_prose_keeps_an_insertion_wherever_it_can_stand() -> None:
    base, theirs = "# Notes\n\nOld words.\n", "# Map\n\nNothing of it is left.\n"
    result = merge_texts(base, f"{base}Mine.\n", theirs, PROSE)
    assert (result.text, result.conflict) == (f"{theirs}Mine.\n", False)


def test_other_languages_conflict_where_both_changed() -> None:
    result = merge_texts("a {}\nb {}\n", "a {1}\nb {}\n", "a {2}\nb {}\n")
    assert result.conflict
    assert result.text == (
        "<<<<<<< before updating\na {1}\n=======\na {2}\n>>>>>>> after updating\nb {}\n"
    )


def test_deleting_the_first_line_that_the_template_changed_is_a_conflict() -> None:
    assert merge(("MOST = 10\n",), (), ("MOST = 20\n",)).conflict
