"""A file of the new release, and applying the owner's edits to the definitions in it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from lakebase_agent.merging.imports.block import (
    Import,
    add_imports,
    imports_in,
    merge_comments,
    remove_imports,
)
from lakebase_agent.merging.lines.merge import merge
from lakebase_agent.merging.lines.patches import BEFORE, marked
from lakebase_agent.merging.lines.pieces import Pieces, normal
from lakebase_agent.merging.lines.places import shift
from lakebase_agent.merging.python.renaming import unbound
from lakebase_agent.merging.python.source import HEADER, IMPORTS, Module, Unit
from lakebase_agent.merging.python.split import split

DEFINITIONS = ("def", "class")


@dataclass
class Entry:
    """A unit of the file; `blank` is the number of blank lines after it."""

    name: str
    kind: str
    pieces: list[str]
    blank: int

    @property
    def top(self) -> str:
        """The class it is in, or its own name."""
        return self.name.split(".")[0] if self.kind != "statement" else self.name


@dataclass
class File:
    """A file being merged; `own` are the packages of the project."""

    module: Module
    own: set[str]
    entries: list[Entry] = field(default_factory=list)
    conflict: bool = False

    def __post_init__(self) -> None:
        """Start with the units of the new release."""
        self.entries = [_entry(unit) for unit in self.module.units]

    def index(self, name: str) -> int | None:
        """Return the position of a unit; None if it is not in the file."""
        places = (n for n, entry in enumerate(self.entries) if entry.name == name)
        return next(places, None)

    def merge_unit(self, name: str, old: Unit, new: Unit | None) -> None:
        """Apply the owner's edit of a unit, from `old` to `new`; None if they deleted it."""
        place = self.index(name)
        if place is None:
            return
        entry, width = self.entries[place], self.module.by_name[name].indent - old.indent
        base = _indented(old, width)
        if new is None:
            self._delete(place, base)
        elif name == IMPORTS:
            entry.pieces = merge_comments(base, _indented(new, width), entry.pieces)
        else:
            result = merge(base, _indented(new, width), entry.pieces)
            entry.pieces = result.pieces
            self.conflict = self.conflict or result.conflict

    def _delete(self, place: int, base: Pieces) -> None:
        entry = self.entries[place]
        if [normal(piece) for piece in base] == [normal(piece) for piece in entry.pieces]:
            if place:
                self.entries[place - 1].blank = max(self.entries[place - 1].blank, entry.blank)
            del self.entries[place]
        else:
            entry.pieces = marked([], entry.pieces)
            self.conflict = True

    def add(self, unit: Unit, place: int, lead: int, width: int = 0) -> None:
        """Insert an owner's unit before entries[place]; it had `lead` blank lines above it."""
        entry = Entry(unit.name, unit.kind, _indented(unit, width), _blank(unit))
        least = 1 if unit.indent + width else 2
        if place:
            above = self.entries[place - 1]
            apart = entry.kind in DEFINITIONS or above.kind in DEFINITIONS
            entry.blank = max(entry.blank, above.blank) if place < len(self.entries) else 0
            above.blank = max(lead, least if apart else 0)
        if place < len(self.entries) and entry.kind in DEFINITIONS:
            entry.blank = max(entry.blank, least)
        self.entries.insert(place, entry)

    def end_of(self, place: int) -> int:
        """Return the position after a top-level unit and, if it is a class, its members."""
        top = self.entries[place].top
        place += 1
        while place < len(self.entries) and self.entries[place].name.startswith(f"{top}."):
            place += 1
        return place

    def keep(self, pieces: Pieces) -> None:
        """Append pieces that no longer have a place, as a conflict."""
        self.entries[-1].blank = 2
        self.entries.append(Entry("", "statement", marked(pieces, []), 0))
        self.conflict = True

    def add_imports(self, added: list[Import]) -> None:
        """Add imports, starting an import block if there is none."""
        place = self.index(IMPORTS)
        if place is None and added:
            place = (self.index(HEADER) or 0) + 1
            header = self.entries[place - 1]
            header.blank = 1 if header.pieces else 0
            below = self.entries[place].kind if place < len(self.entries) else ""
            blank = 2 if below in DEFINITIONS else 1
            self.entries.insert(place, Entry(IMPORTS, "imports", [], blank))
        if place is not None:
            self.entries[place].pieces = add_imports(self.entries[place].pieces, added, self.own)

    def remove_imports(self, removed: set[Import]) -> None:
        """Remove imports that the owner removed, except those that the file still uses."""
        place = self.index(IMPORTS)
        if place is None or not removed:
            return
        pieces = self.entries[place].pieces
        shared = removed & imports_in(pieces)
        self.entries[place].pieces = remove_imports(pieces, shared)
        needed = unbound(self.text())
        self.entries[place].pieces = remove_imports(
            pieces, {item for item in shared if item.local not in needed}
        )

    def missing(self) -> set[str]:
        """Return the names that the owner's code uses and the file neither defines nor imports."""
        return unbound(self.text(shown=False)) - unbound(self.module.text)

    def text(self, shown: bool = True) -> str:
        """Return the merged file; unless conflicts are `shown`, with theirs in place of each."""
        pieces = [piece for entry in self.entries for piece in self._written(entry)]
        return "".join(pieces if shown else _without_markers(pieces))

    def _written(self, entry: Entry) -> Iterator[str]:
        yield from entry.pieces
        last = entry is self.entries[-1]
        if entry.pieces and not entry.pieces[-1].endswith("\n") and not last:
            yield "\n"
        yield from ["\n"] * (entry.blank if not last else 0)

    def parses(self) -> bool:
        """Return whether the file is valid Python, conflicts aside."""
        try:
            split(self.module.path, self.text(shown=False))
        except (SyntaxError, ValueError):
            return False
        return True


def _without_markers(pieces: Pieces) -> Iterator[str]:
    """Yield pieces with theirs in place of each conflict."""
    ours = False
    for piece in pieces:
        if piece == BEFORE:
            ours = True
        elif piece.startswith(("=======\n", ">>>>>>> after updating")):
            ours = False
        elif not ours:
            yield piece


def _entry(unit: Unit) -> Entry:
    blank = _blank(unit)
    return Entry(unit.name, unit.kind, list(unit.pieces[: len(unit.pieces) - blank]), blank)


def _blank(unit: Unit) -> int:
    """Return how many blank lines a unit ends with."""
    count = 0
    while count < len(unit.pieces) and not unit.pieces[-1 - count].strip():
        count += 1
    return count


def _indented(unit: Unit, width: int) -> list[str]:
    """Return the pieces of a unit, indented by `width` more, without the blank lines at its end."""
    kept = unit.pieces[: len(unit.pieces) - _blank(unit)]
    return [shift(piece, width) for piece in kept] if width else list(kept)
