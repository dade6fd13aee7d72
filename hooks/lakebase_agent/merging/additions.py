"""Adding the owner's own definitions next to the neighbours they had."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from lakebase_agent.merging.counterparts import Counterparts, Key
from lakebase_agent.merging.files import File
from lakebase_agent.merging.python.source import HEADER, IMPORTS, Module, Unit

Open = Callable[[str], File]


def add_units(
    base: Module, ours: Module, names: Mapping[str, str], counterparts: Counterparts, files: Open
) -> Iterator[str]:
    """Add each unit of `ours` that is not in `base`; yield the files they are added to.

    `names` are the names of the units of `base` before anything was renamed.
    """
    adder = _Adder(base, ours, names, counterparts, files)
    for place, unit in enumerate(ours.units):
        if unit.name not in base.by_name:
            yield adder.add(place, unit)


@dataclass
class _Adder:
    base: Module
    ours: Module
    names: Mapping[str, str]
    counterparts: Counterparts
    files: Open
    added: dict[str, str] = field(default_factory=dict)  # the file of each added unit

    def add(self, place: int, unit: Unit) -> str:
        """Add one unit, and return the file it is added to."""
        path = self._home(unit)
        file = self.files(path)
        lead = _blank_above(self.ours, place)
        owner = self._owner(unit, path)
        name = f"{owner}.{unit.name.partition('.')[2]}" if owner else unit.name
        if unit.name in (HEADER, IMPORTS):
            where = file.index(HEADER) or 0
        else:
            where = self._where(place, unit, path, owner)
        file.add(Unit(name, unit.kind, unit.binds, unit.indent, unit.pieces), where, lead)
        self.added[unit.name] = path
        return path

    def _home(self, unit: Unit) -> str:
        """Return the file for a unit: that of its class, or the main one."""
        owner = self._class_of(unit)
        if owner in self.added:
            return self.added[owner]
        key = self._find(owner) if owner else None
        return key.path if key else self.counterparts.homes(self.base.path)[0]

    def _class_of(self, unit: Unit) -> str:
        return unit.name.split(".")[0] if unit.indent and unit.kind != "class" else ""

    def _owner(self, unit: Unit, path: str) -> str:
        """Return the current name of a member's class."""
        owner = self._class_of(unit)
        key = self._find(owner) if owner and owner not in self.added else None
        return key.name if key and key.path == path else owner

    def _where(self, place: int, unit: Unit, path: str, owner: str) -> int:
        """Return the position after what preceded the unit, or before what followed it."""
        file = self.files(path)
        for above in reversed(self.ours.units[:place]):
            found = self._index(above, path)
            if found is not None and (not owner or self._inside(file, found, owner)):
                return found + 1 if owner else file.end_of(found)
        for below in self.ours.units[place + 1 :]:
            found = self._index(below, path)
            if found is not None and not owner and "." not in file.entries[found].name:
                return found
        return len(file.entries)

    def _inside(self, file: File, place: int, owner: str) -> bool:
        name = file.entries[place].name
        return name == owner or name.startswith(f"{owner}.")

    def _index(self, unit: Unit, path: str) -> int | None:
        """Return the position of an owner's unit in a file."""
        file = self.files(path)
        if unit.name in self.added:
            return file.index(unit.name) if self.added[unit.name] == path else None
        key = self._find(unit.name)
        return file.index(key.name) if key and key.path == path else None

    def _find(self, name: str) -> Key | None:
        if name not in self.names:
            return None
        return self.counterparts.find(self.base.path, self.names[name])


def _blank_above(module: Module, place: int) -> int:
    count = 0
    pieces = module.units[place - 1].pieces if place else ()
    while count < len(pieces) and not pieces[-1 - count].strip():
        count += 1
    return count
