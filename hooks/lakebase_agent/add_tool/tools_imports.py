"""The import of `Mcp` in tools.py, by whatever name its owner has it."""

import ast
import re
from collections.abc import Iterator

PACKAGE, MODULE, CLASS = "agent_server", "agent_server.mcp_servers", "Mcp"
IMPORT = f"from {MODULE} import {CLASS}"


def name_of_mcp(module: ast.Module) -> str:
    """Return what the code calls the class, for example `Mcp`; empty if it imports no such class.

    An import for type checkers alone does not count.
    """
    return next((name for node in module.body for name in _names(node)), "")


def _names(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.ImportFrom(module="agent_server.mcp_servers", names=names):
            yield from (one.asname or one.name for one in names if one.name == CLASS)
        case ast.ImportFrom(module="agent_server", names=names):
            found = [one for one in names if f"{PACKAGE}.{one.name}" == MODULE]
            yield from (f"{one.asname or one.name}.{CLASS}" for one in found)
        case ast.Import(names=names):
            yield from (f"{one.asname or MODULE}.{CLASS}" for one in names if one.name == MODULE)


def with_import(text: str) -> str:
    """Return the text with the import of `Mcp`, in its place among those of the project."""
    module = ast.parse(text)
    if name_of_mcp(module):
        return text
    lines = lines_of(text)
    nodes = [node for node in module.body if isinstance(node, ast.Import | ast.ImportFrom)]
    after = [n for n in nodes if not _is_ours(n) or lines[n.lineno - 1].strip() < IMPORT]
    new = [f"{IMPORT}\n"]
    if not after:
        place = _end_of_docstring(module)
        new = ["\n", *new, *([] if _is_blank(lines, place) else ["\n"])]
        return "".join([*lines[:place], *(new if place else new[1:]), *lines[place:]])
    place = after[-1].end_lineno or 0
    if not _is_ours(after[-1]):
        if any(map(_is_ours, nodes)):
            place += 1  # the blank line before those of the project
        else:
            new = ["\n", *new]
    return "".join([*lines[:place], *new, *lines[place:]])


def _end_of_docstring(module: ast.Module) -> int:
    first = module.body[0] if ast.get_docstring(module) is not None else None
    return (first.end_lineno or 0) if first else 0


def _is_blank(lines: list[str], place: int) -> bool:
    return place < len(lines) and not lines[place].strip()


def _is_ours(node: ast.Import | ast.ImportFrom) -> bool:
    return isinstance(node, ast.ImportFrom) and str(node.module).startswith(PACKAGE)


def lines_of(text: str) -> list[str]:
    """Return the lines of code, with their ends, as Python numbers them."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def column_of(line: str, offset: int) -> int:
    """Return the place of a letter, given its offset in bytes."""
    return len(line.encode()[:offset].decode())
