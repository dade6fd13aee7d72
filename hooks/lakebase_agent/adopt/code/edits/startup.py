"""Code that opens a memory where no agent runs, such as a server that starts: it goes."""

import ast

from lakebase_agent.adopt.code.edits.blocks import dedented, is_alone, unit_of, without_statement
from lakebase_agent.adopt.code.reading.calls import Module, Site
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
    users = [item for item in node.body if names & _names(item)]
    if not all(isinstance(item, ast.Expr | ast.Assign) and is_alone(code, item) for item in users):
        raise CantWireError(where, BY_HAND)
    left = [item for item in node.body if item not in users]
    function = next(n for n in code.ancestors(node) if isinstance(n, ast.AsyncFunctionDef))
    unit, end = unit_of(code, function), node.body[-1].end_lineno
    start, first = code.line(node.lineno), code.line(node.body[0].lineno)
    passing = "" if left else f"{code.indent(node.lineno)}pass\n"
    edits = [Edit(start, first, passing), *(without_statement(code, item) for item in users)]
    for item in left:
        assert item.end_lineno and end
        edits += dedented(code, item.lineno, item.end_lineno, unit)
    return edits


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
