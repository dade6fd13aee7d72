"""Adding arguments to a call, in the layout that it has, or one a line if it becomes too long."""

import ast
from itertools import pairwise

from lakebase_agent.adopt.code.reading.text import Code, Edit

WIDTH = 100


def added(code: Code, call: ast.Call, more: list[str], grown: int = 0) -> list[Edit]:
    """Return edits that add arguments at the end of a call.

    Other edits make its line longer by `grown` characters.
    """
    given: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    text = ", ".join(more)
    if not given:
        return [Edit(code.end(call) - 1, code.end(call) - 1, text)]
    last = max(given, key=code.end)
    place, comma = code.after_arguments(call)
    if _is_alone(code, last) and last.lineno > call.func.end_lineno:  # type: ignore[operator]
        lines = "".join(f"\n{code.indent(last.lineno)}{argument}," for argument in more)
        return [Edit(place, place, ("" if comma else ",") + (lines if comma else lines[:-1]))]
    if call.lineno == call.end_lineno and _length(code, call) + grown + len(text) + 2 > WIDTH:
        return _one_a_line(code, call, given, more)
    return [Edit(place, place, f" {text}" if comma else f", {text}")]


def _is_alone(code: Code, node: ast.expr | ast.keyword) -> bool:
    """Return whether an argument starts its line."""
    return not code.data[code.line(node.lineno) : code.start(node)].strip()


def _length(code: Code, call: ast.Call) -> int:
    return len(code.data[code.line(call.lineno) : code.line(call.lineno + 1)].rstrip())


def _one_a_line(
    code: Code, call: ast.Call, given: list[ast.expr | ast.keyword], more: list[str]
) -> list[Edit]:
    indent = code.indent(call.lineno)
    unit = "\t" if "\t" in indent else "    "
    inner, given = f"\n{indent}{unit}", sorted(given, key=code.start)
    opening = code.data.index(b"(", code.end(call.func))
    edits = [Edit(opening, opening + 1, f"({inner}")]
    for one, other in pairwise(given):
        place, _ = code.after(one, code.start(other))
        end = place + len(code.data[place:]) - len(code.data[place:].lstrip(b" "))
        edits.append(Edit(place, end, inner))
    place, _ = code.after_arguments(call)
    end = code.end(call) - 1
    lines = "".join(f",{inner}{argument}" for argument in more)
    if code.data[place - 1 : place] == b",":
        lines = lines.removeprefix(",")
    return [*edits, Edit(place, end, f"{lines},\n{indent}")]
