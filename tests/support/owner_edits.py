"""Edits of an owner in Python: lines inserted in functions, each of which is one of its kind."""

import ast
import random
from collections.abc import Iterator

PLACES = ("first", "before", "last", "nested")


def edit_functions(
    name: str, text: str, places: tuple[str, ...], line: str
) -> tuple[str, list[str]]:
    """Return `text` with a line in every function, at each of `places`, and those lines.

    `line` is formatted with a text that names the place.
    """
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, Function)]
    where = {found for function in functions for found in _places(function, places)}
    lines, added = text.splitlines(keepends=True), []
    for number, (row, indent) in enumerate(sorted(where, reverse=True)):
        added.append(line.format(f"{name}, {number}"))
        lines.insert(row, f"{' ' * indent}{added[-1]}\n")
    return "".join(lines), added


def scatter_in_functions(name: str, text: str, seed: int, count: int) -> tuple[str, list[str]]:
    """Return `text` with comments and statements at random places of random functions."""
    chance = random.Random(seed)
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, Function)]
    where = sorted({found for function in functions for found in _places(function, PLACES)})
    chosen = chance.sample(where, min(count, len(where)))
    lines, added = text.splitlines(keepends=True), []
    for number, (row, indent) in enumerate(sorted(chosen, reverse=True)):
        form = chance.choice(("# {}", '_ = "{}"'))
        added.append(form.format(f"{name}, {seed}, {number}"))
        lines.insert(row, f"{' ' * indent}{added[-1]}\n")
    return "".join(lines), added


Function = ast.FunctionDef | ast.AsyncFunctionDef


def _places(function: Function, places: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Yield rows, from 0, before which a statement may stand, and how far it is indented."""
    documented = ast.get_docstring(function, clean=False) is not None
    body = function.body[documented:]
    if not body or body[0].lineno == function.lineno:
        return
    indent = body[0].col_offset
    if "first" in places:
        yield _row(body[0]), indent
    if "before" in places:
        yield _row(body[-1]), indent
    if "last" in places:
        yield body[-1].end_lineno or 0, indent
    if "nested" in places:
        blocks = (n for n in ast.walk(function) if isinstance(n, ast.For | ast.With | ast.While))
        yield from ((_row(n.body[0]), n.body[0].col_offset) for n in blocks if _is_block(n.body[0]))


def _is_block(node: ast.stmt) -> bool:
    return node.col_offset % 4 == 0


def _row(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)]) - 1
