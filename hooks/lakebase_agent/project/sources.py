"""The Python files of a project, and what they import."""

import ast
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ENVIRONMENT = "pyvenv.cfg"  # what every virtual environment has


@dataclass(frozen=True)
class Source:
    """A Python file, and the names of the modules and of the top-level packages it imports."""

    path: PurePosixPath
    tree: ast.Module
    imports: frozenset[str]


def read_sources(folder: Path, skipped: Collection[str]) -> Iterator[Source]:
    """Yield the Python files below `folder`, except in hidden folders and those `skipped` by name.

    Environments, with other people's code, and files that are not valid Python are left out, too.
    """
    for path in sorted(_files(folder, skipped)):
        with suppress(SyntaxError, ValueError):
            yield source_of(path.relative_to(folder).as_posix(), path.read_bytes())


def _files(folder: Path, skipped: Collection[str]) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        if ENVIRONMENT in names and Path(place) != folder:
            folders.clear()
            continue
        folders[:] = [n for n in folders if not n.startswith(".") and n not in skipped]
        paths = (Path(place, name) for name in names if name.endswith(".py") and name[0] != ".")
        yield from (path for path in paths if path.is_file() and path.name not in skipped)


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
