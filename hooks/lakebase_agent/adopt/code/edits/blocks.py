"""Blocks of statements: which one holds several nodes, and moving its lines in or out."""

import ast
from collections.abc import Iterable, Iterator

from lakebase_agent.adopt.code.reading.modules import Function
from lakebase_agent.adopt.code.reading.text import Code, Edit

LOOPS = ast.For | ast.AsyncFor | ast.While
PARTS = ("body", "orelse", "finalbody")
Place = tuple[list[ast.stmt], int]


def common_block(code: Code, function: ast.AST, nodes: Iterable[ast.AST]) -> Place:
    """Return the innermost block that holds all nodes, and the place in it of the first.

    It is in no loop of the function, so that a turn is opened once.
    """
    ways = [list(_way(code, function, node)) for node in nodes]
    for block, _ in ways[0]:
        places = [place for way in ways for other, place in way if other is block]
        if len(places) == len(ways):
            return block, min(places)
    raise ValueError("nodes of several functions")


def _way(code: Code, function: ast.AST, node: ast.AST) -> Iterator[Place]:
    """Yield the blocks that a node is in, the innermost first, and its place in each."""
    found: list[Place] = []
    child = node
    for parent in code.ancestors(node):
        if isinstance(parent, LOOPS) and _is_in(parent.body + parent.orelse, child):
            found = []
        for name in PARTS:
            block = getattr(parent, name, None)
            if isinstance(block, list) and _is_in(block, child):
                found.append((block, [id(item) for item in block].index(id(child))))
        if parent is function:
            break
        child = parent
    yield from found


def _is_in(block: list[ast.stmt], node: ast.AST) -> bool:
    return any(item is node for item in block)


def unit_of(code: Code, function: Function) -> str:
    """Return what a function's body is indented by."""
    assert not isinstance(function, ast.Lambda)
    inner = code.indent(function.body[0].lineno)
    return inner.removeprefix(code.indent(function.lineno)) or "    "


def indented(code: Code, first: int, last: int, unit: str, left: set[int]) -> list[Edit]:
    """Return edits that indent lines, but those `left`, and those that start inside a string."""
    kept = code.inside_strings() | left
    return [
        Edit(code.line(number), code.line(number), unit)
        for number in range(first, last + 1)
        if number not in kept and code.data[code.line(number) : code.line(number + 1)].strip()
    ]


def dedented(code: Code, first: int, last: int, unit: str) -> list[Edit]:
    """Return edits that take a unit of indentation from lines."""
    kept = code.inside_strings()
    return [
        Edit(code.line(number), code.line(number) + len(unit.encode()), "")
        for number in range(first, last + 1)
        if number not in kept and code.indent(number).startswith(unit)
    ]


def without_statement(code: Code, statement: ast.stmt) -> Edit:
    """Return an edit that deletes a statement with its lines."""
    assert statement.end_lineno
    return Edit(code.line(statement.lineno), code.line(statement.end_lineno + 1), "")


def is_alone(code: Code, statement: ast.stmt) -> bool:
    """Return whether nothing but white space and comments shares a statement's lines."""
    assert statement.end_lineno
    before = code.data[code.line(statement.lineno) : code.start(statement)]
    after = code.data[code.end(statement) : code.line(statement.end_lineno + 1)].strip()
    return not before.strip() and (not after or after.startswith(b"#"))
