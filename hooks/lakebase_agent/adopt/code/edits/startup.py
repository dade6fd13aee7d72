"""Code that opens a memory where no agent runs, such as a server that starts: it goes."""

import ast
from collections.abc import Iterator

from lakebase_agent.adopt.code.edits.blocks import dedented, is_alone, unit_of, without_statement
from lakebase_agent.adopt.code.reading.modules import Module, Site
from lakebase_agent.adopt.code.reading.names import called
from lakebase_agent.adopt.code.reading.own_memory import OwnMemory
from lakebase_agent.adopt.code.reading.problems import CantWireError
from lakebase_agent.adopt.code.reading.text import Edit

BY_HAND = "a memory of your own is opened here, and used in ways that need you: delete it"


def startup_edits(module: Module, own: OwnMemory, runs: list[Site]) -> list[Edit]:
    """Return edits that delete what opens a memory around no run, and what uses its values.

    Raises CantWireError if these are used below other statements.
    """
    around = {id(node) for site in runs for node in site.module.code.ancestors(site.call)}
    edits: list[Edit] = []
    for node in ast.walk(module.code.tree):
        if not isinstance(node, ast.AsyncWith) or id(node) in around:
            continue
        if _is_memory(node, own) and not _is_opener(module, node, own):
            edits += _unwrapped(module, node)
    return edits


def _is_memory(node: ast.AsyncWith, own: OwnMemory) -> bool:
    return all(own.kinds(called(item.context_expr)) for item in node.items)


def _is_opener(module: Module, node: ast.AsyncWith, own: OwnMemory) -> bool:
    """Return whether a function that opens the memory for others holds the statement."""
    names = (getattr(parent, "name", "") for parent in module.code.ancestors(node))
    return any(name in own.openers for name in names)


def _unwrapped(module: Module, node: ast.AsyncWith) -> list[Edit]:
    code, where = module.code, f"{module.path}:{node.lineno}"
    names = {
        n.id for item in node.items if item.optional_vars
        for n in ast.walk(item.optional_vars) if isinstance(n, ast.Name)
    }  # fmt: skip
    given = [value for item in node.body for value in _given(item, names)]
    values = {id(value) for value in given}
    users = [item for item in node.body if names & _names(item, values)]
    if not all(_is_of_memory(item) and is_alone(code, item) for item in users):
        raise CantWireError(where, BY_HAND)
    left = [item for item in node.body if item not in users]
    function = next(n for n in code.ancestors(node) if isinstance(n, ast.AsyncFunctionDef))
    unit, end = unit_of(code, function), node.body[-1].end_lineno
    start, first = code.line(node.lineno), code.line(node.body[0].lineno)
    passing = "" if left else f"{code.indent(node.lineno)}pass\n"
    edits = [Edit(start, first, passing), *(without_statement(code, item) for item in users)]
    kept = [value for item in left for value in _given(item, names)]
    edits += [Edit(code.start(value), code.end(value), "None") for value in kept]
    for item in left:
        assert item.end_lineno and end
        edits += dedented(code, item.lineno, item.end_lineno, unit)
    return edits


def _given(statement: ast.AST, names: set[str]) -> Iterator[ast.Name]:
    """Yield where an agent is built with the values: a turn gives it others when it runs."""
    for node in ast.walk(statement):
        if not isinstance(node, ast.keyword) or node.arg not in ("checkpointer", "store"):
            continue
        if isinstance(node.value, ast.Name) and node.value.id in names:
            yield node.value


def _is_of_memory(statement: ast.stmt) -> bool:
    """Return whether a statement only calls something with a memory, or keeps it somewhere."""
    if isinstance(statement, ast.Assign):
        return not isinstance(called(statement.value), ast.Call)
    return isinstance(statement, ast.Expr)


def _names(node: ast.AST, left_out: set[int]) -> set[str]:
    found = (n for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in left_out)
    return {n.id for n in found}
