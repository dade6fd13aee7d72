"""Finding what each definition of the old release became in the new one."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from lakebase_agent.merging.lines.pieces import normal, similarity
from lakebase_agent.merging.moves import Moves
from lakebase_agent.merging.python.source import HEADER, IMPORTS, Module, dotted, path_of

# How similar two definitions must be to count as one, by how little else speaks for it.
POSSIBLE, LIKELY, CERTAIN = 0.5, 0.7, 0.9
WHOLE = (HEADER, IMPORTS)
Modules = Mapping[str, Module]


@dataclass(frozen=True)
class Key:
    """One unit of one file."""

    path: str
    name: str


class Counterparts:
    """Finds the units of `theirs` that the units of `base` became.

    Uses the tables of moves first, then the name where the module moved to, then the name anywhere,
    then similarity.
    """

    def __init__(self, base: Modules, theirs: Modules, moves: Moves) -> None:
        self.base, self.theirs, self.moves = base, theirs, moves
        self._similar: dict[Key, Key | None] = {}

    def places(self, path: str) -> list[str]:
        """Return the files that a file became, the main one first."""
        listed = [place for place in self.moves.targets(path) if place in self.theirs]
        return listed or ([path] if path in self.theirs else [])

    def homes(self, path: str) -> list[str]:
        """Return the files that a file became; if unlisted, those with most of its definitions."""
        places = self.places(path)
        if places or self.gone(path) or path not in self.base:
            return places
        names = [unit.name for unit in self.base[path].units if unit.kind in ("def", "class")]
        found = Counter(key.path for name in names if (key := self.find(path, name)))
        return [place for place, _ in found.most_common()] if found.total() * 2 > len(names) else []

    def gone(self, path: str) -> bool:
        """Return whether a file is no longer part of this project, by its answers or a table."""
        return bool(self.moves.targets(path)) and not self.places(path)

    def is_absorbed(self, path: str, name: str) -> bool:
        """Return whether the table lists a definition as deleted, with another for its edits."""
        return self._absorbing(path, name) is not None

    def find(self, path: str, name: str) -> Key | None:
        """Return what a unit of base became; None if it is gone."""
        if name in WHOLE:
            homes = self.homes(path)
            return Key(homes[0], name) if homes else None
        key = Key(path, name)
        if absorbing := self._absorbing(path, name):
            return self._locate(absorbing)
        if key in self._named:
            return self._named[key]
        if key not in self._similar:
            self._similar[key] = self._find_similar(key)
        return self._similar[key]

    def is_sure(self, path: str, name: str, found: Key) -> bool:
        """Return whether a counterpart is the same definition, not just the one for its edits."""
        key = Key(path, name)
        return self._named.get(key) == found or self._similarity(key, found) >= LIKELY

    @cached_property
    def _named(self) -> dict[Key, Key]:
        """Counterparts found by name; where several units claim one, the most similar gets it."""
        listed: dict[Key, Key] = {}
        guesses: dict[Key, list[Key]] = {}
        for key in self._units():
            if found := self._listed(key):
                listed[key] = found
            elif guess := self._by_name(key):
                guesses.setdefault(guess, []).append(key)
        taken = set(listed.values())
        for guess, keys in guesses.items():
            if guess not in taken:
                listed[self._best(keys, guess)] = guess
        return listed

    def _best(self, keys: list[Key], guess: Key) -> Key:
        if len(keys) == 1:
            return keys[0]
        return max(keys, key=lambda key: self._similarity(key, guess))

    def _similarity(self, old: Key, new: Key) -> float:
        return similarity(self._text(self.base, old), self._text(self.theirs, new))

    def _units(self) -> Iterator[Key]:
        for path, module in self.base.items():
            if not self.gone(path):
                names = [unit.name for unit in module.units if unit.name not in WHOLE]
                yield from (Key(path, n) for n in names if not self.is_absorbed(path, n))

    def _names(self, path: str, name: str) -> Iterator[str]:
        """Yield the dotted names by which a table may list a definition."""
        for place in (path, *self.moves.targets(path)):
            yield f"{dotted(place)}.{name}"

    def _absorbing(self, path: str, name: str) -> str | None:
        names = (self.moves.absorbed.get(option) for option in self._names(path, name))
        return next(filter(None, names), None)

    def _listed(self, key: Key) -> Key | None:
        """Return where the table moves a definition, or the class it is in."""
        for name in self._names(key.path, key.name):
            if (new := self.moves.renamed(name)) and (found := self._locate(new)):
                return found
        return None

    def _locate(self, name: str) -> Key | None:
        """Return the unit with a dotted name such as `package.module.Class.method`."""
        parts = name.split(".")
        for count in range(len(parts) - 1, 0, -1):
            path = path_of(".".join(parts[:count]), self.theirs)
            unit = path and _defining(self.theirs[path], ".".join(parts[count:]))
            if path and unit:
                return Key(path, unit)
        return None

    def _by_name(self, key: Key) -> Key | None:
        places, unit = self.places(key.path), self.base[key.path].by_name[key.name]
        for path in places:
            for name in (key.name, *(() if "." in key.name else unit.binds)):
                if found := _defining(self.theirs[path], name):
                    return Key(path, found)
        if unit.kind == "statement":
            return None
        return self._in_new_place(key)

    def _in_new_place(self, key: Key) -> Key | None:
        """Return the most similar definition of the same name that is new in its module."""
        found = [
            Key(path, key.name)
            for path, module in self.theirs.items()
            if key.name in module.by_name and not self._known(path, key.name)
        ]
        scored = [(self._similarity(key, option), option) for option in found]
        score, best = max(scored, key=lambda item: item[0], default=(0.0, None))
        # Constants of one name may mean different things.
        least = POSSIBLE if self.base[key.path].by_name[key.name].kind == "def" else CERTAIN
        return best if score >= least else None

    def _known(self, path: str, name: str) -> bool:
        return path in self.base and name in self.base[path].by_name

    def _find_similar(self, key: Key) -> Key | None:
        if self.gone(key.path):
            return None
        home = self.places(key.path)
        taken = set(self._named.values()) | {k for k in self._similar.values() if k}
        if self.base[key.path].by_name[key.name].kind not in ("def", "class"):
            return self._most_similar(key, home, CERTAIN, taken)  # constants all look alike
        best = self._of_class(key, taken) or self._most_similar(key, home, POSSIBLE, taken)
        best = best or self._most_similar(key, self.theirs, LIKELY, taken)
        return best or self._most_similar(key, home, LIKELY, set())  # two that became one

    def _of_class(self, key: Key, taken: set[Key]) -> Key | None:
        """Return the member of the same name in the counterpart of its class."""
        owner, _, member = key.name.rpartition(".")
        new = self.find(key.path, owner) if owner in self.base[key.path].by_name else None
        found = Key(new.path, f"{new.name}.{member}") if new else None
        known = found and found.name in self.theirs[found.path].by_name
        return found if known and found not in taken else None

    def _most_similar(
        self, key: Key, paths: "Modules | list[str]", least: float, taken: set[Key]
    ) -> Key | None:
        text, kind = self._text(self.base, key), self.base[key.path].by_name[key.name].kind
        scored = [
            (similarity(text, self._text(self.theirs, option)), option)
            for path in paths
            for unit in self.theirs[path].units
            if unit.kind == kind and (option := Key(path, unit.name)) not in taken
        ]
        score, best = max(scored, key=lambda item: item[0], default=(0.0, None))
        return best if score >= least else None

    def _text(self, modules: Modules, key: Key) -> str:
        return " ".join(normal(piece) for piece in modules[key.path].by_name[key.name].pieces)


def _defining(module: Module, name: str) -> str | None:
    """Return the unit that defines a name."""
    if name in module.by_name:
        return name
    return module.defined.get(name)
