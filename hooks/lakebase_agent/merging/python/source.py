"""A module as units: its docstring, its imports, and one for each definition."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

HEADER = "(header)"
IMPORTS = "(imports)"


@dataclass(frozen=True)
class Unit:
    """One definition; `name` is qualified by its class, `binds` are the names that it defines.

    `pieces` are logical lines: comments, blank lines and whole statements.
    """

    name: str
    kind: str
    binds: tuple[str, ...]
    indent: int
    pieces: tuple[str, ...]

    @property
    def text(self) -> str:
        """The source of the unit."""
        return "".join(self.pieces)


@dataclass(frozen=True)
class Imported:
    """An imported name; `name` is empty if it is a module."""

    local: str
    module: str
    name: str = ""


@dataclass(frozen=True)
class Module:
    """A Python file, split into units."""

    path: str
    text: str
    units: tuple[Unit, ...]

    @cached_property
    def by_name(self) -> dict[str, Unit]:
        """The units by their names."""
        return {unit.name: unit for unit in self.units}

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @cached_property
    def defined(self) -> dict[str, str]:
        """The names that the module defines, with the names of their units."""
        own = [u for u in self.units if "." not in u.name or u.kind == "statement"]
        return {name: unit.name for unit in own for name in unit.binds}

    @cached_property
    def imported(self) -> dict[str, Imported]:
        """What the module imports outside functions, by its local names."""
        return {found.local: found for found in imports_of(self.tree, self.path)}


def imports_of(tree: ast.Module, path: str) -> Iterator[Imported]:
    """Yield what a module imports, also in `if` and `try` statements."""
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        node = pending.pop(0)
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.split(".")[0]
                yield Imported(local, alias.name if alias.asname else local)
        elif isinstance(node, ast.ImportFrom):
            source = absolute(path, node.module, node.level)
            yield from (Imported(a.asname or a.name, source, a.name) for a in node.names)
        elif isinstance(node, ast.If | ast.Try):
            pending = [*node.body, *node.orelse, *getattr(node, "finalbody", []), *pending]


def dotted(path: str) -> str:
    """Return the dotted module name of a file."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def path_of(module: str, files: Mapping[str, object]) -> str | None:
    """Return the path of a module, if it is one of `files`."""
    # A script beside the folder where imports start: `../scripts/name.py` is `...scripts.name`.
    above = "../" if module.startswith("...") else ""
    stem = above + module.removeprefix("...").replace(".", "/")
    return next((p for p in (f"{stem}.py", f"{stem}/__init__.py") if p in files), None)


def absolute(path: str, module: str | None, level: int) -> str:
    """Return the absolute name of a module that a file imports; `level` counts the dots."""
    if not level:
        return module or ""
    package = path.split("/")[:-level]
    return ".".join([*package, *([module] if module else [])])


def split_lines(text: str) -> list[str]:
    """Return the lines of a text with their line feeds; nothing else ends a line."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def indent_of(piece: str) -> int:
    """Return the indentation of the first line of a piece."""
    return len(piece) - len(piece.lstrip(" "))


def is_comment(piece: str) -> bool:
    """Return whether a piece is a comment and nothing else."""
    return piece.lstrip().startswith("#")
