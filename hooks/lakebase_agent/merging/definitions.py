"""Merging the definitions of an old file into the new files that hold them."""

from collections.abc import Iterator, Mapping

from lakebase_agent.merging.additions import add_units
from lakebase_agent.merging.counterparts import Counterparts
from lakebase_agent.merging.files import File
from lakebase_agent.merging.finishing import Source
from lakebase_agent.merging.imports.rewrite import rewrite
from lakebase_agent.merging.imports.symbols import Symbols
from lakebase_agent.merging.merged import NotApplied
from lakebase_agent.merging.python.renaming import rename
from lakebase_agent.merging.python.source import HEADER, Module, dotted
from lakebase_agent.merging.python.split import split
from lakebase_agent.merging.texts import edit_of


class Definitions:
    """The new files that receive edits, with the old files that the edits come from.

    `own` are the packages of the project.
    """

    def __init__(self, counterparts: Counterparts, symbols: Symbols, own: set[str]) -> None:
        self.counterparts, self.symbols, self.own = counterparts, symbols, own
        self.files: dict[str, File] = {}
        self.sources: dict[str, list[Source]] = {}
        self.not_applied: list[NotApplied] = []

    def merge(self, path: str, text: str, home: str) -> bool:
        """Apply the owner's edits of an old file to the new ones; False if it can't be parsed."""
        if home not in self.counterparts.theirs:
            return False
        try:
            base = self._with_new_names(path, self.counterparts.base[path].text)
            ours = self._with_new_names(path, text)
        except (SyntaxError, ValueError):
            return False
        old = self._old_names(base)
        touched = {home, *self._merge_units(base, ours, old, home)}
        touched.update(add_units(base, ours, old, self.counterparts, self._file))
        source = Source(base, ours, home, [self._file(place) for place in touched])
        for place in touched:
            self.sources.setdefault(place, []).append(source)
        return True

    def _with_new_names(self, path: str, text: str) -> Module:
        """Return a file of the old release with the imports and names of the new one."""
        names = {}
        for name in self.counterparts.base[path].defined:
            new = self.symbols.symbol(dotted(path), name)
            if new and new.name != name:
                names[name] = new.name
        text = rewrite(text, path, self.symbols, renaming=True)
        self.symbols.lost.clear()
        identifiers = self.counterparts.moves.identifiers.get(path, {})
        return split(path, rename(text, names, identifiers))

    def _old_names(self, base: Module) -> dict[str, str]:
        """Return the old release's names for the units of a file."""
        units = self.counterparts.base[base.path].units
        return {new.name: old.name for new, old in zip(base.units, units, strict=True)}

    def _merge_units(
        self, base: Module, ours: Module, names: Mapping[str, str], home: str
    ) -> Iterator[str]:
        """Merge each definition that the owner edited; yield the files that hold them."""
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
                edit = edit_of(unit.text, new.text)
                reason = f"your edit of {old}, which is gone, is at the end of {home}: {edit}"
                self.not_applied.append(NotApplied(base.path, reason))

    def _file(self, path: str) -> File:
        if path not in self.files:
            self.files[path] = File(self.counterparts.theirs[path], self.own)
        return self.files[path]
