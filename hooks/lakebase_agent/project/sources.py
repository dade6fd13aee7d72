"""The Python files of a project, and what they import."""

import ast
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Source:
    """A Python file, and the names of the modules and of the top-level packages it imports."""

    path: PurePosixPath
    tree: ast.Module
    imports: frozenset[str]


def read_sources(folder: Path, skipped: Collection[str]) -> Iterator[Source]:
    """Yield the Python files below `folder`, except in hidden folders and those `skipped` by name.

    A file that is not valid Python is left out, too.
    """
    for path in sorted(folder.rglob("*.py")):
        place = PurePosixPath(path.relative_to(folder).as_posix())
        if any(part.startswith(".") or part in skipped for part in place.parts):
            continue
        with suppress(SyntaxError, ValueError):
            yield source_of(place.as_posix(), path.read_bytes())


def source_of(path: str, text: str | bytes) -> Source:
    """Return a Python file with a text; raises SyntaxError and ValueError if it is not valid."""
    tree = ast.parse(text)
    return Source(PurePosixPath(path), tree, frozenset(_imports(tree)))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules = [node.module]
        for module in modules:
            yield module
            yield module.partition(".")[0]
