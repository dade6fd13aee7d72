"""One file of the new release, and what its owner did to the definitions that are in it now."""

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
    """A unit of the file; `blank` are the empty lines behind it."""

    name: str
    kind: str
    pieces: list[str]
    blank: int

    @property
    def top(self) -> str:
        """The class that it is in, or its own name."""
        return self.name.split(".")[0] if self.kind != "statement" else self.name


@dataclass
class File:
    """A file as it is put together; `own` are the packages of the project."""

    module: Module
    own: set[str]
    entries: list[Entry] = field(default_factory=list)
    conflict: bool = False

    def __post_init__(self) -> None:
        """Take every unit of the new release."""
        self.entries = [_entry(unit) for unit in self.module.units]

    def index(self, name: str) -> int | None:
        """Return where a unit is."""
        places = (n for n, entry in enumerate(self.entries) if entry.name == name)
        return next(places, None)

    def merge_unit(self, name: str, old: Unit, new: Unit | None) -> None:
        """Do to a unit what the owner did to its old form; None if they deleted it."""
        place = self.index(name)
        if place is None:
            return
        entry, width = self.entries[place], self.module.by_name[name].indent - old.indent
        base = _moved(old, width)
        if new is None:
            self._delete(place, base)
        elif name == IMPORTS:
            entry.pieces = merge_comments(base, _moved(new, width), entry.pieces)
        else:
            result = merge(base, _moved(new, width), entry.pieces)
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
        """Insert a unit of the owner's before entries[place]; `lead` lines were above it."""
        entry = Entry(unit.name, unit.kind, _moved(unit, width), _blank(unit))
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
        """Return where what follows a top-level unit starts: behind the members of a class."""
        top = self.entries[place].top
        place += 1
        while place < len(self.entries) and self.entries[place].name.startswith(f"{top}."):
            place += 1
        return place

    def keep(self, pieces: Pieces) -> None:
        """Keep at the end, as a conflict, what has no place any more."""
        self.entries[-1].blank = 2
        self.entries.append(Entry("", "statement", marked(pieces, []), 0))
        self.conflict = True

    def add_imports(self, added: list[Import]) -> None:
        """Import more."""
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
        """Import less: what the owner does not import any more, and nothing uses."""
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
        """Return the names that what the owner wrote uses, and that the file does not know."""
        return unbound(self.text(shown=False)) - unbound(self.module.text)

    def text(self, shown: bool = True) -> str:
        """Return the merged file; without markers, if conflicts are not `shown`, to be read."""
        pieces = [piece for entry in self.entries for piece in self._written(entry)]
        return "".join(pieces if shown else _without_markers(pieces))

    def _written(self, entry: Entry) -> Iterator[str]:
        yield from entry.pieces
        last = entry is self.entries[-1]
        if entry.pieces and not entry.pieces[-1].endswith("\n") and not last:
            yield "\n"
        yield from ["\n"] * (entry.blank if not last else 0)

    def check(self) -> bool:
        """Say whether the file is Python, conflicts aside."""
        try:
            split(self.module.path, self.text(shown=False))
        except SyntaxError:
            return False
        return True


def _without_markers(pieces: Pieces) -> Iterator[str]:
    """Yield theirs of each conflict."""
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
    """Return how many empty lines end a unit."""
    count = 0
    while count < len(unit.pieces) and not unit.pieces[-1 - count].strip():
        count += 1
    return count


def _moved(unit: Unit, width: int) -> list[str]:
    """Return the pieces of a unit without the empty lines behind it, indented by more or less."""
    kept = unit.pieces[: len(unit.pieces) - _blank(unit)]
    return [shift(piece, width) for piece in kept] if width else list(kept)
