"""Rewriting the imports of what moved, without changing another byte of a file."""

import ast
import re
from collections.abc import Iterator

from lakebase_agent.merging.imports.positions import WIDTH, Positions, dotted_name, statement
from lakebase_agent.merging.imports.symbols import Alias, Symbol, Symbols
from lakebase_agent.merging.python.source import absolute

# Functions that take the dotted name of what they patch or import.
BY_NAME = {"patch", "setattr", "delattr", "import_module", "importorskip"}
Edit = tuple[int, int, str]


def rewrite(text: str, path: str, symbols: Symbols, renaming: bool = False) -> str:
    """Return a file with its imports of moved names updated.

    Renamed names keep their old name in the file, through `as`, unless `renaming`. Raises
    SyntaxError or ValueError if the file does not parse.
    """
    edits = sorted(_Rewriter(text, path, symbols, renaming).edits())
    parts, place = [], 0
    for start, end, new in edits:
        if start >= place:
            parts += [text[place:start], new]
            place = end
    return "".join(parts) + text[place:]


class _Rewriter:
    def __init__(self, text: str, path: str, symbols: Symbols, renaming: bool) -> None:
        self.tree, self.path = ast.parse(text), path
        self.symbols, self.renaming = symbols, renaming
        self.text, self.positions = text, Positions(text)
        self.end_of_line = "\r\n" if "\r\n" in text else "\n"
        self.modules: dict[str, str] = {}  # old modules by their local names
        self.more: dict[str, list[Alias]] = {}  # further modules that replace one
        self.renamed: dict[str, str] = {}

    def edits(self) -> Iterator[Edit]:
        """Yield the replacements, in no order."""
        statements = [n for n in ast.walk(self.tree) if isinstance(n, ast.Import | ast.ImportFrom)]
        for node in statements:
            self._note(node)
        uses = list(self._uses()) if self.modules else []
        for node in statements:
            yield from self._from(node) if isinstance(node, ast.ImportFrom) else self._import(node)
        yield from uses
        yield from self._names()
        yield from self._strings()

    def _note(self, node: ast.Import | ast.ImportFrom) -> None:
        """Remember the local names of modules that moved."""
        for alias in node.names:
            name, local = alias.name, alias.asname or alias.name
            if isinstance(node, ast.ImportFrom):
                name = f"{absolute(self.path, node.module, node.level)}.{name}"
            if self.symbols.module(name):
                self.modules[local] = name

    def _from(self, node: ast.ImportFrom) -> Iterator[Edit]:
        module = absolute(self.path, node.module, node.level)
        old = [Alias(Symbol(module, a.name), a.asname or a.name) for a in node.names]
        new = [self._moved(alias) for alias in old]
        new += [more for alias in old for more in self.more.get(alias.local, [])]
        if new == old:
            return
        start, end = self.positions.span(node)
        if self._only_module_differs(old, new):
            found = re.compile(r"from\s*(\.*[\w.]*)").match(self.text, start)
            assert found
            yield found.start(1), found.end(1), self._source(new[0].symbol.module, node.level)
            return
        yield start, end, self._lines(new, node, start)

    def _moved(self, alias: Alias) -> Alias:
        """Return an alias for the new place of a name."""
        module, name = alias.symbol.module, alias.symbol.name
        if name == "*":
            return Alias(Symbol(self.symbols.module(module) or module, name), name)
        if main := self.symbols.module(f"{module}.{name}"):
            package, _, last = main.rpartition(".")
            return Alias(Symbol(package, last), alias.local)
        found = self.symbols.symbol(module, name)
        if found and self.renaming and alias.local == name:
            if found.name != name:
                self.renamed[name] = found.name
            return Alias(found, found.name)
        return Alias(found, alias.local) if found else alias

    def _only_module_differs(self, old: list[Alias], new: list[Alias]) -> bool:
        modules = {alias.symbol.module for alias in new}
        names = [alias.symbol.name for alias in new]
        return len(modules) == 1 and names == [alias.symbol.name for alias in old]

    def _lines(self, aliases: list[Alias], node: ast.ImportFrom, start: int) -> str:
        """Return the text of one import for each module, indented as the old one was."""
        before = self.positions.before(node)
        groups: dict[str, list[str]] = {}
        for alias in sorted(aliases, key=lambda alias: alias.symbol.module):
            groups.setdefault(alias.symbol.module, []).append(str(alias))
        width = WIDTH - len(before)
        found = [
            statement(self._source(module, node.level), names, width)
            for module, names in groups.items()
        ]
        comments = re.findall(r"#[^\r\n]*", self.text[start : self.positions.span(node)[1]])
        if before.strip():
            return "; ".join(found)
        text = "\n".join([*comments, *found]).replace("\n", f"\n{before}")
        return text.replace("\n", self.end_of_line)

    def _source(self, module: str, level: int) -> str:
        """Return a module as an import names it: relatively, if the old import was relative."""
        package = self.path.split("/")[:-level] if level else []
        parts = module.split(".")
        if not level or self.renaming or not package or parts[: len(package)] != package:
            return module
        return "." * level + ".".join(parts[len(package) :])

    def _import(self, node: ast.Import) -> Iterator[Edit]:
        if not any(self.symbols.module(alias.name) for alias in node.names):
            return
        names, lines = [], []
        for alias in node.names:
            new = self.symbols.module(alias.name) or alias.name
            names.append(f"{new} as {alias.asname}" if alias.asname else new)
            for more in self.more.get(alias.asname or alias.name, []):
                name = f"{more.symbol.module}.{more.symbol.name}"
                dotted = more.local == name
                lines.append(f"import {name}" if dotted else f"import {name} as {more.local}")
        start, end = self.positions.span(node)
        before = self.positions.before(node)
        joint = "; " if before.strip() else f"{self.end_of_line}{before}"
        yield start, end, joint.join([f"import {', '.join(names)}", *lines])

    def _uses(self) -> Iterator[Edit]:
        """Yield replacements for `module.name` where either of the two has changed."""
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Load):
                continue
            local = dotted_name(node.value)
            if old := self.modules.get(local):
                main = self.symbols.module(old) or old
                found = self.symbols.symbol(old, node.attr) or Symbol(main, node.attr)
                prefix = self._prefix(local, main, found.module)
                if (prefix, found.name) != (local, node.attr):
                    yield (*self.positions.span(node), f"{prefix}.{found.name}")

    def _prefix(self, local: str, main: str, module: str) -> str:
        """Return the local name of a module that took a part of an old one."""
        if module == main:
            return main if "." in local else local
        package, _, last = module.rpartition(".")
        name = module if "." in local else last
        if name == last and re.search(rf"(?<![.\w]){last}\b", self.text):
            name = module.replace(".", "_")
        alias = Alias(Symbol(package, last), name)
        if alias not in self.more.setdefault(local, []):
            self.more[local].append(alias)
        return name

    def _names(self) -> Iterator[Edit]:
        """Yield replacements for the uses of renamed names."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name) and node.id in self.renamed:
                yield (*self.positions.span(node), self.renamed[node.id])

    def _strings(self) -> Iterator[Edit]:
        """Yield replacements for dotted names in strings, such as those that a test patches."""
        for node in ast.walk(self.tree):
            if (
                not isinstance(node, ast.Call)
                or dotted_name(node.func).split(".")[-1] not in BY_NAME
            ):
                continue
            for given in node.args:
                if isinstance(given, ast.Constant) and isinstance(given.value, str):
                    start, end = self.positions.span(given)
                    if new := self._renamed_string(given.value):
                        yield start, end, self.text[start:end].replace(given.value, new)

    def _renamed_string(self, name: str) -> str | None:
        if main := self.symbols.module(name):
            return main
        module, _, rest = name.rpartition(".")
        while module:
            if main := self.symbols.module(module):
                first, *more = rest.split(".")
                found = self.symbols.symbol(module, first) or Symbol(main, first)
                return ".".join([found.module, found.name, *more])
            module, _, last = module.rpartition(".")
            rest = f"{last}.{rest}"
        return None
