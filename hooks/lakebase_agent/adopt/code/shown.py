"""Code as it is shown in a terminal of 80 columns."""

import ast
from collections.abc import Iterable

from lakebase_agent.adopt.code.reading.text import Code, Edit

WIDTH = 76  # four columns are before the code


def edited_call(code: Code, call: ast.Call, edits: Iterable[Edit]) -> ast.expr:
    """Return a call, and what is put around it, with edits made."""
    around = [edit for edit in edits if edit.text != "async "]
    start = min([code.start(call), *(edit.start for edit in around)])
    end = max([code.end(call), *(edit.end for edit in around)])
    text = code.edited(around)
    grown = len(text.encode()) - len(code.data)
    shown = text.encode()[start : end + grown].decode()
    return ast.parse(f"(\n{shown}\n)", mode="eval").body


def in_block(lines: Iterable[str]) -> list[str]:
    """Return lines of code as a block."""
    return [f"    {line}" for line in lines]


def to_lines(node: ast.expr, width: int = WIDTH) -> list[str]:
    """Return code in lines of at most `width` characters, if its parts are not longer."""
    text = ast.unparse(node)
    if len(text) <= width:
        return [text]
    awaited = "await " if isinstance(node, ast.Await) else ""
    call = node.value if isinstance(node, ast.Await) else node
    if isinstance(call, ast.Call):
        arguments = _inner([*call.args, *call.keywords], width)
        return [f"{awaited}{ast.unparse(call.func)}(", *arguments, ")"]
    if isinstance(node, ast.List):
        return ["[", *_inner(node.elts, width), "]"]
    return [text]


def _inner(parts: Iterable[ast.expr | ast.keyword], width: int) -> list[str]:
    lines = []
    for part in parts:
        name = f"{part.arg}=" if isinstance(part, ast.keyword) and part.arg else ""
        value = part.value if isinstance(part, ast.keyword) else part
        first, *rest = to_lines(value, width - 5 - len(name))
        lines += [f"    {line}" for line in (f"{name}{first}", *rest)]
        lines[-1] += ","
    return lines
