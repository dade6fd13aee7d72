"""Streams of a run: whether they are read where they are begun, and by what name."""

import ast
from collections.abc import Iterator

from lakebase_agent.adopt.code.edits.runs import STREAMS, method_of
from lakebase_agent.adopt.code.reading.modules import Site
from lakebase_agent.adopt.code.reading.problems import CantWireError

LEAVES = "its stream is read elsewhere, when the turn has ended: read it in the same function"


def result_name(site: Site) -> str:
    """Return the name that a stream is assigned to; empty if it is read without one."""
    parent = site.module.code.parents.get(site.call)
    if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name):
        return parent.targets[0].id
    return ""


def read_here(site: Site) -> list[ast.AST]:
    """Return the run, and every use of its stream; raises CantWireError if it is read elsewhere."""
    if method_of(site) not in STREAMS:
        return [site.call]
    uses = list(_uses(site))
    if not any(_is_iterated(site, node) for node in uses or [site.call]):
        raise CantWireError(site.where, LEAVES)
    return [site.call, *uses]


def _uses(site: Site) -> Iterator[ast.AST]:
    name, function = result_name(site), site.function
    if not name or function is None:
        return
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
            yield node


def _is_iterated(site: Site, node: ast.AST) -> bool:
    """Return whether a loop of the function reads a node, or what calls make of it."""
    code = site.module.code
    child = node
    for parent in code.ancestors(node):
        if isinstance(parent, ast.AsyncFor | ast.For | ast.comprehension):
            return child is parent.iter
        if not isinstance(parent, ast.Call | ast.Attribute | ast.keyword | ast.Await):
            return False
        child = parent
    return False
