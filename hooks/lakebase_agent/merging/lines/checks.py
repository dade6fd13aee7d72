"""Checking that a merged definition still makes sense."""

import ast
from textwrap import dedent

from lakebase_agent.merging.lines.pieces import Pieces
from lakebase_agent.merging.python.renaming import bound_in, words
from lakebase_agent.merging.python.source import is_comment, split_lines


def parses(pieces: Pieces) -> bool:
    """Return whether a definition, or the head of a class, is valid Python."""
    text = dedent("".join(pieces))
    for candidate in (text, f"{text.rstrip()}\n    pass\n"):
        try:
            ast.parse(candidate)
        except (SyntaxError, ValueError):
            continue
        return True
    return False


def unknown(new: Pieces, ours: Pieces, merged: Pieces) -> set[str]:
    """Return the local names that inserted pieces use and that no longer exist."""
    local = {word for piece in new for word in words(piece)} & bound_in("".join(ours))
    return local - bound_in("".join(merged)) if local else set()


def added_comments(old: str, new: str) -> list[str]:
    """Return the comments added inside a statement; none if it has other changes too."""
    lines, added = split_lines(old), []
    for line in split_lines(new):
        if lines and line == lines[0]:
            lines.pop(0)
        elif is_comment(line):
            added.append(line)
        else:
            return []
    return [] if lines else added
