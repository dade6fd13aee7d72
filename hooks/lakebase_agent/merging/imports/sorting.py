"""Keeping an owner's imports in isort's order when modules are renamed."""

import ast
from itertools import groupby, pairwise

from lakebase_agent.merging.imports.block import import_key, joined, read_imports
from lakebase_agent.merging.python.source import split_lines

Run = tuple[int, int, list[str]]


def keep_sorted(old: str, new: str, own: set[str]) -> str:
    """Return `new` with its imports sorted, if those of `old` were; `own` are its packages.

    Only imports that follow each other directly are reordered. Raises SyntaxError or ValueError if
    a text does not parse.
    """
    if not all(_is_sorted(run, own) for _, _, run in _runs(old)):
        return new
    lines = split_lines(new)
    for start, end, run in reversed(_runs(new)):
        if not _is_sorted(run, own):
            lines[start:end] = _sorted(run, own)
    return "".join(lines)


def _runs(text: str) -> list[Run]:
    """Return the runs of directly consecutive imports in a module, with their lines."""
    lines, found = split_lines(text), list[Run]()
    for node in ast.parse(text).body:
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        start, end = node.lineno - 1, node.end_lineno or node.lineno
        pieces = ["".join(lines[start:end])]
        if found and found[-1][1] == start:
            start, _, before = found.pop()
            pieces = before + pieces
        found.append((start, end, pieces))
    return found


def _is_sorted(run: list[str], own: set[str]) -> bool:
    keys = [_key(piece, own) for piece in run]
    return all(first < second for first, second in pairwise(keys))


def _sorted(run: list[str], own: set[str]) -> list[str]:
    """Return a run sorted, with the imports from one module joined."""
    pieces = sorted(run, key=lambda piece: _key(piece, own))
    found: list[str] = []
    for _, group in groupby(pieces, key=lambda piece: _key(piece, own)):
        same = list(group)
        plain = not any("#" in piece or "\r" in piece for piece in same)
        found += [joined(same)] if plain and len(same) > 1 else same
    return found


def _key(piece: str, own: set[str]) -> tuple[int, int, str]:
    imports = read_imports(piece)
    return import_key(imports[0], own) if imports else (0, 0, "")
