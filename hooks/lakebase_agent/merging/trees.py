"""Merging a whole project: the old release, the owner's files, and the new release."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import SequenceMatcher, ndiff

from lakebase_agent.merging.additions import add_units
from lakebase_agent.merging.counterparts import Counterparts, dotted
from lakebase_agent.merging.files import File
from lakebase_agent.merging.finishing import Source, finish
from lakebase_agent.merging.imports import rewrite
from lakebase_agent.merging.merger import marked, merge_texts
from lakebase_agent.merging.moves import Moves
from lakebase_agent.merging.renaming import rename
from lakebase_agent.merging.source import HEADER, Module, Unit, split, split_lines
from lakebase_agent.merging.symbols import Symbols

BOM = "\ufeff"
ALIKE = 0.6
Tree = Mapping[str, str]


@dataclass(frozen=True)
class Moved:
    """A file that the release moved."""

    old: str
    new: str
    edited: bool


@dataclass(frozen=True)
class NotApplied:
    """What could not be done: a change of the template's, or of the owner's."""

    path: str
    reason: str


@dataclass
class Merged:
    """What to do to the owner's project; `files` are complete texts.

    `dropped` are files with the owner's edits that the new release has not, under any name.
    """

    files: dict[str, str] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)
    not_applied: list[NotApplied] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


def merge_trees(base: Tree, ours: Tree, theirs: Tree, moves: Moves) -> Merged:
    """Return how the owner's files become files of the new release, with every edit in them.

    `base` is the old release as rendered, `theirs` the new one, `ours` the owner's whole project.
    Of the files in both releases, only Python is merged.
    """
    return _Trees(base, ours, theirs, moves).merge()


class _Trees:
    def __init__(self, base: Tree, ours: Tree, theirs: Tree, moves: Moves) -> None:
        self.base = {path: _plain(text) for path, text in base.items()}
        self.theirs = {path: _plain(text) for path, text in theirs.items()}
        self.ours, self.moves = ours, moves
        modules = dict(_modules(self.base)), dict(_modules(self.theirs))
        self.counterparts = Counterparts(*modules, moves)
        self.symbols = Symbols(self.counterparts)
        self.own = {path.split("/")[0] for path in [*ours, *theirs] if path.endswith(".py")}
        self.files: dict[str, File] = {}
        self.sources: dict[str, list[Source]] = {}
        self.merged = Merged()

    def merge(self) -> Merged:
        """Do everything."""
        for path in self.base:
            if path in self.ours:
                self._kept(path)
            else:
                self._deleted(path)
        for path, file in self.files.items():
            self._finish(path, file)
        for path in self.ours.keys() - self.base.keys():
            if path in self.theirs:
                self._clash(path)
            elif path.endswith(".py"):
                self._rewrite(path)
        self.merged.conflicts = sorted(set(self.merged.conflicts))
        return self.merged

    def homes(self, path: str) -> list[str]:
        """Return what a file became."""
        if path in self.counterparts.base:
            return self.counterparts.homes(path)
        return self.counterparts.places(path) or self._texts(path)

    def _texts(self, path: str) -> list[str]:
        places = self.moves.targets(path) or (path,)
        return [place for place in places if place in self.theirs]

    def _kept(self, path: str) -> None:
        """Merge a file that the owner has."""
        homes, ours = self.homes(path), _plain(self.ours[path])
        edited = ours != self.base[path]
        if homes and path not in self.theirs:
            self.merged.moved.append(Moved(path, homes[0], edited))
            self.merged.deleted.append(path)
        if edited and not homes:
            self.merged.dropped.append(path)
        if not homes or not edited:
            return
        if path in self.counterparts.base and self._merge_python(path, ours, homes[0]):
            return
        if path not in self.theirs or path.endswith(".py"):
            result = merge_texts(self.base[path], ours, self.theirs[homes[0]])
            self._write(homes[0], result.text, result.conflict, path)

    def _merge_python(self, path: str, text: str, home: str) -> bool:
        """Merge by definitions; False when the owner's file is no Python."""
        try:
            base = self._modernised(path, self.base[path], text)
            ours = self._modernised(path, text, text)
        except SyntaxError:
            return False
        if home not in self.counterparts.theirs:
            return False
        old = self._old_names(base)
        touched = {home, *self._merge_units(base, ours, old, home)}
        touched.update(add_units(base, ours, old, self.counterparts, self._file))
        for place in touched:
            self.sources.setdefault(place, []).append(Source(base, ours, home))
        self._file(home)
        return True

    def _modernised(self, path: str, text: str, ours: str) -> Module:
        """Return a file of the old release with the imports and the names of the new one."""
        names = {}
        for name in self.counterparts.base[path].defined:
            if name in ours and (new := self.symbols.symbol(dotted(path), name)):
                names[name] = new.name
        self.symbols.lost.clear()
        changed = {old: new for old, new in names.items() if new != old}
        text = rewrite(text, path, self.symbols, renaming=True)
        self.symbols.lost.clear()
        return split(path, rename(text, changed, self.moves.identifiers.get(path, {})))

    def _old_names(self, base: Module) -> dict[str, str]:
        """Return what the units of a file were called in the old release."""
        units = self.counterparts.base[base.path].units
        return {new.name: old.name for new, old in zip(base.units, units, strict=True)}

    def _merge_units(
        self, base: Module, ours: Module, names: Mapping[str, str], home: str
    ) -> Iterator[str]:
        """Do to the new release's definitions what the owner did; yield the files they are in."""
        for unit in base.units:
            new, old = ours.by_name.get(unit.name), names[unit.name]
            if new and new.text == unit.text:
                continue
            key = self.counterparts.find(base.path, old)
            if key and key.name in self.counterparts.theirs[key.path].by_name:
                self._file(key.path).merge_unit(key.name, unit, new)
                yield key.path
            elif new and unit.name != HEADER:
                self._file(home).keep(new.pieces)
                reason = f"your edit of {old}, which is gone, is at the end of {home}: "
                reason += " ".join(" ".join(line.split()) for line in _added(unit, new))[:200]
                self.merged.not_applied.append(NotApplied(base.path, reason))

    def _file(self, path: str) -> File:
        if path not in self.files:
            self.files[path] = File(self.counterparts.theirs[path], self.own)
        return self.files[path]

    def _write(self, path: str, text: str, conflict: bool, old: str = "") -> None:
        """Write a merged file with the line ends of the owner's."""
        sources = [source.base.path for source in self.sources.get(path, [])]
        ours = next((self.ours[p] for p in (path, old, *sources) if p in self.ours), "")
        text = _as_before(ours, text)
        if path in self.ours and path not in self.base and self.ours[path] != text:
            text = "".join(marked(split_lines(ours), split_lines(text)))
            conflict = True
        self.merged.files[path] = text
        if conflict:
            self.merged.conflicts.append(path)

    def _finish(self, path: str, file: File) -> None:
        missing = finish(file, self.sources.get(path, []), self.symbols)
        if missing:
            reason = f"your code uses {', '.join(missing)}, which the template has no more"
            self.merged.not_applied.append(NotApplied(path, reason))
        text = file.text()
        if not file.conflict and not file.check():
            [source, *_] = self.sources[path]
            text = "".join(marked([source.ours.text], [file.module.text]))
            file.conflict = True
        self._write(path, text, file.conflict or bool(missing))

    def _deleted(self, path: str) -> None:
        """Leave out what became of a file that the owner deleted or moved."""
        homes = self.homes(path)
        if not homes or self.theirs.get(path) == self.base[path]:
            return
        for home in homes:
            shared = [old for old in self.base if old in self.ours and home in self.homes(old)]
            if not shared and home not in self.ours:
                self.merged.deleted.append(home)
        yours = self._similar(self.base[path], path)
        reason = f"which changed; yours is {yours}" if yours else "which changed"
        self.merged.not_applied.append(NotApplied(path, reason))

    def _similar(self, text: str, path: str) -> str:
        """Return the owner's file that a file of the old release became; empty if none did."""
        suffix = path.rpartition(".")[2]
        lines = split_lines(text)
        for other in self.ours.keys() - self.base.keys() - self.theirs.keys():
            if other.endswith(f".{suffix}") and text.strip():
                matcher = SequenceMatcher(None, lines, split_lines(_plain(self.ours[other])))
                if matcher.quick_ratio() > ALIKE and matcher.ratio() > ALIKE:
                    return other
        return ""

    def _clash(self, path: str) -> None:
        """Keep both files where the owner has one of their own at a new file's path."""
        if path not in self.merged.files and self.ours[path] != self.theirs[path]:
            self._write(path, self.theirs[path], conflict=True)

    def _rewrite(self, path: str) -> None:
        """Let a file of the owner's own import what moved from where it is."""
        text = self.ours[path]
        mark, rest = (BOM, text[1:]) if text.startswith(BOM) else ("", text)
        try:
            new = mark + rewrite(rest, path, self.symbols)
        except (SyntaxError, ValueError):
            reason = "it is no Python; the modules that it imports may have moved"
            self.merged.not_applied.append(NotApplied(path, reason))
            return
        for symbol in sorted(self.symbols.lost, key=str):
            reason = f"it imports {symbol.name} from {symbol.module}, which has it no more"
            self.merged.not_applied.append(NotApplied(path, reason))
        self.symbols.lost.clear()
        if new != text:
            self.merged.files[path] = new


def _added(old: Unit, new: Unit) -> Iterator[str]:
    """Yield the lines of a definition that the owner added or removed."""
    for line in ndiff(split_lines(old.text), split_lines(new.text)):
        if line.startswith(("+ ", "- ")):
            yield line


def _modules(tree: Tree) -> Iterator[tuple[str, Module]]:
    for path, text in tree.items():
        if path.endswith(".py"):
            with suppress(SyntaxError, ValueError):
                yield path, split(path, text)


def _plain(text: str) -> str:
    """Return a text with line feeds alone, and without a mark of its byte order."""
    return text.removeprefix(BOM).replace("\r\n", "\n")


def _as_before(ours: str, text: str) -> str:
    """Return a text with the line ends, and the mark, that the owner's file has."""
    mark = BOM if ours.startswith(BOM) else ""
    return mark + (text.replace("\n", "\r\n") if "\r\n" in ours else text)
