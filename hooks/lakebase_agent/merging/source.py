"""Splitting a module into units: its docstring, its imports, and one for each definition.

Units tile the text: joined, they give it back to the byte. A unit starts at the comments directly
above its definition and ends where the next one starts.
"""

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

HEADER = "(header)"
IMPORTS = "(imports)"
Statements = Sequence[ast.stmt]


@dataclass(frozen=True)
class Unit:
    """One definition; `name` is qualified by its class, `binds` are the names that it defines.

    `pieces` are logical lines: comments, blank lines and statements, those of several lines whole.
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
    """A name that is imported: `name` is empty when it is a module."""

    local: str
    module: str
    name: str = ""


@dataclass(frozen=True)
class Module:
    """A Python file, split."""

    path: str
    text: str
    units: tuple[Unit, ...]

    @cached_property
    def by_name(self) -> dict[str, Unit]:
        """Its units by their names."""
        return {unit.name: unit for unit in self.units}

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text)

    @cached_property
    def defined(self) -> dict[str, str]:
        """The module's own names, with the names of the units that define them."""
        own = [u for u in self.units if "." not in u.name or u.kind == "statement"]
        return {name: unit.name for unit in own for name in unit.binds}

    @cached_property
    def imported(self) -> dict[str, Imported]:
        """What it imports outside functions, by the names that it has here."""
        return {found.local: found for found in imports_of(self.tree, self.path)}


def split(path: str, text: str) -> Module:
    """Return a module with its units; raises SyntaxError."""
    tree = ast.parse(text)
    lines = split_lines(text)
    splitter = _Splitter(lines, _spans(text))
    units = tuple(_numbered(splitter.module(tree)))
    return Module(path, text, units)


def imports_of(tree: ast.Module, path: str) -> Iterator[Imported]:
    """Yield what a module imports, in its `if` and `try` statements too."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.split(".")[0]
                yield Imported(local, alias.name if alias.asname else local)
        elif isinstance(node, ast.ImportFrom):
            source = absolute(path, node.module, node.level)
            yield from (Imported(a.asname or a.name, source, a.name) for a in node.names)
        elif isinstance(node, ast.If | ast.Try):
            waiting = [*node.body, *node.orelse, *getattr(node, "finalbody", []), *waiting]


def absolute(path: str, module: str | None, level: int) -> str:
    """Return the full name of a module that a file imports, relatively or not."""
    if not level:
        return module or ""
    package = path.split("/")[:-level]
    return ".".join([*package, *([module] if module else [])])


def split_lines(text: str) -> list[str]:
    """Return the lines of a text with their ends; only a line feed ends one."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def indent_of(piece: str) -> int:
    """Return how far the first line of a piece is indented."""
    return len(piece) - len(piece.lstrip(" "))


def is_comment(piece: str) -> bool:
    """Say whether a piece is a comment and nothing else."""
    return piece.lstrip().startswith("#")


def _spans(text: str) -> dict[int, int]:
    """Return where each statement of several lines starts and ends, counted from 0."""
    spans, begin = {}, None
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER):
            continue
        if begin is None and token.type not in (tokenize.COMMENT, tokenize.NL):
            begin = token.start[0] - 1
        if token.type == tokenize.NEWLINE and begin is not None:
            spans[begin] = token.start[0] - 1
            begin = None
    return spans


def _numbered(units: Iterator[Unit]) -> Iterator[Unit]:
    """Yield units; the second of a name, such as an overload, becomes `name#2`."""
    seen: Counter[str] = Counter()
    for unit in units:
        seen[unit.name] += 1
        count = seen[unit.name]
        name = f"{unit.name}#{count}" if count > 1 else unit.name
        yield Unit(name, unit.kind, unit.binds, unit.indent, unit.pieces)


class _Splitter:
    """Cuts the lines of one module."""

    def __init__(self, lines: list[str], spans: dict[int, int]) -> None:
        self.lines, self.spans = lines, spans

    def module(self, tree: ast.Module) -> Iterator[Unit]:
        """Yield every unit of a module in order."""
        body = tree.body[1:] if ast.get_docstring(tree, clean=False) is not None else tree.body
        starts = self._starts(body, 0, tree.body[0].end_lineno if body != tree.body else 0)
        count = _leading_imports([node for node, _ in starts])
        cuts = [start for _, start in starts] + [len(self.lines)]
        yield self._unit(HEADER, "header", (), 0, 0, cuts[0])
        if count:
            yield self._unit(IMPORTS, "imports", (), 0, cuts[0], cuts[count])
        for place in range(count, len(starts)):
            yield from self._statement(starts[place][0], cuts[place], cuts[place + 1])

    def _statement(self, node: ast.stmt, start: int, end: int, owner: str = "") -> Iterator[Unit]:
        if isinstance(node, ast.ClassDef) and not owner and node.body[0].lineno > node.lineno:
            yield from self._class(node, start, end)
            return
        name, kind, binds = _identify(node, self._first_line(node))
        qualified = f"{owner}.{name}" if owner else name
        yield self._unit(qualified, kind, binds, node.col_offset, start, end)

    def _class(self, node: ast.ClassDef, start: int, end: int) -> Iterator[Unit]:
        documented = ast.get_docstring(node, clean=False) is not None
        body = node.body[1:] if documented else node.body
        above = node.body[0].end_lineno if documented else self._head_end(node)
        starts = self._starts(body, body[0].col_offset if body else 0, above)
        cuts = [place for _, place in starts] + [end]
        yield self._unit(node.name, "class", (node.name,), 0, start, cuts[0])
        for (member, _), first, last in zip(starts, cuts[:-1], cuts[1:], strict=True):
            yield from self._statement(member, first, last, node.name)

    def _head_end(self, node: ast.ClassDef) -> int:
        """Return the line after the one that ends `class X(...):`."""
        return self.spans.get(node.lineno - 1, node.lineno - 1) + 1

    def _starts(
        self, body: Statements, indent: int, above: int | None
    ) -> list[tuple[ast.stmt, int]]:
        """Return where the unit of each statement starts: at the comments directly above it."""
        found: list[tuple[ast.stmt, int]] = []
        floor = above or 0
        for node in body:
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) - 1
            if first < floor:
                continue  # behind a semicolon
            while first > floor and self.lines[first - 1].startswith(" " * indent + "#"):
                first -= 1
            found.append((node, first))
            floor = node.end_lineno or 0
        return found

    def _first_line(self, node: ast.stmt) -> str:
        end = self.spans.get(node.lineno - 1, node.lineno - 1)
        return " ".join("".join(self.lines[node.lineno - 1 : end + 1]).split())

    def _unit(
        self, name: str, kind: str, binds: tuple[str, ...], indent: int, start: int, end: int
    ) -> Unit:
        return Unit(name, kind, binds, indent, tuple(self._pieces(start, end)))

    def _pieces(self, start: int, end: int) -> Iterator[str]:
        while start < end:
            after = self.spans.get(start, start) + 1
            yield "".join(self.lines[start:after])
            start = after


def _leading_imports(nodes: list[ast.stmt]) -> int:
    kinds = [isinstance(node, ast.Import | ast.ImportFrom) for node in nodes]
    return kinds.index(False) if False in kinds else len(kinds)


def _identify(node: ast.stmt, first_line: str) -> tuple[str, str, tuple[str, ...]]:
    """Return the name, the kind, and what a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name, "def", (node.name,)
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [n for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
        stored = [name.id for name in names if isinstance(name.ctx, ast.Store)]
        if stored:
            return stored[0], "value", tuple(stored)
    return first_line, "statement", tuple(_bound_inside(node))


def _bound_inside(node: ast.stmt) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import | ast.ImportFrom):
            yield from ((a.asname or a.name).split(".")[0] for a in inner.names)
        elif isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield inner.name
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner.id
