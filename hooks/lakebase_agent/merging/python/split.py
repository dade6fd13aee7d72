"""Splitting a module into units.

Joined, the units are the text again, byte for byte. A unit starts at the comments directly above
its definition and ends where the next one starts.
"""

import ast
import io
import tokenize
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from lakebase_agent.merging.python.source import HEADER, IMPORTS, Module, Unit, split_lines

Statements = Sequence[ast.stmt]


def split(path: str, text: str) -> Module:
    """Return a module with its units; raises SyntaxError or ValueError if it does not parse."""
    tree = ast.parse(text)
    lines = split_lines(text)
    splitter = _Splitter(lines, _spans(text))
    units = tuple(_numbered(splitter.module(tree)))
    return Module(path, text, units)


def split_all(files: Mapping[str, str]) -> dict[str, Module]:
    """Return the modules among `files` by path, without those that do not parse."""
    found = {}
    for path, text in files.items():
        if path.endswith(".py"):
            with suppress(SyntaxError, ValueError):
                found[path] = split(path, text)
    return found


def _spans(text: str) -> dict[int, int]:
    """Return the last line of each logical line, by its first; lines count from 0."""
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
    """Yield units with unique names: a second one, such as an overload, becomes `name#2`."""
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
        """Return the line after the one that `class X(...):` ends on."""
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
                continue  # after a semicolon
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
    """Return the name and the kind of a statement, and the names that it defines."""
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
