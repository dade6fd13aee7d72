"""Finding where imported modules and names are now."""

from dataclasses import dataclass, field

from lakebase_agent.merging.counterparts import Counterparts
from lakebase_agent.merging.python.source import dotted, path_of


@dataclass(frozen=True)
class Symbol:
    """A name in a module; `name` is empty for the module itself."""

    module: str
    name: str = ""


@dataclass(frozen=True)
class Alias:
    """An imported name, and its local name in the file."""

    symbol: Symbol
    local: str

    def __str__(self) -> str:
        name = self.symbol.name
        return name if name == self.local else f"{name} as {self.local}"


@dataclass
class Symbols:
    """Looks up imported names; `lost` collects those that no longer exist."""

    counterparts: Counterparts
    lost: set[Symbol] = field(default_factory=set)

    def module(self, name: str) -> str | None:
        """Return the main module that a module became; None if it has not moved."""
        path = path_of(name, self.counterparts.base)
        if not path or path in self.counterparts.theirs:
            return None
        homes = self.counterparts.homes(path)
        return dotted(homes[0]) if homes else None

    def symbol(self, module: str, name: str) -> Symbol | None:
        """Return where a name of a module is now; None if it can be imported as before."""
        path = path_of(module, self.counterparts.base)
        if not path or self.binds(module, name):
            return None
        old = self.counterparts.base[path]
        if unit := old.defined.get(name):
            return self._defined(path, unit, name) or self._main(module, name)
        if name in old.imported:
            return self._imported(path, name)
        return self._main(module, name) if self.module(module) else None

    def binds(self, module: str, name: str) -> bool:
        """Return whether a module of the new release has a name."""
        path = path_of(module, self.counterparts.theirs)
        if not path:
            return False
        new = self.counterparts.theirs[path]
        return name in new.defined or name in new.imported

    def _defined(self, path: str, unit: str, name: str) -> Symbol | None:
        absorbed = self.counterparts.is_absorbed(path, unit)
        found = None if absorbed else self.counterparts.find(path, unit)
        if not found or not self.counterparts.is_sure(path, unit, found):
            return None
        new = self.counterparts.theirs[found.path].by_name[found.name]
        if "." in new.name or not new.binds:
            return None  # methods can't be imported
        return Symbol(dotted(found.path), name if name in new.binds else new.binds[0])

    def _imported(self, path: str, name: str) -> Symbol | None:
        """Return where to import a name from that its old module only imported."""
        for home in self.counterparts.homes(path):
            if self.binds(dotted(home), name):
                return Symbol(dotted(home), name)
        source = self.counterparts.base[path].imported[name]
        if not source.name:
            return None
        moved = self.symbol(source.module, source.name)
        return moved or Symbol(source.module, source.name)

    def _main(self, module: str, name: str) -> Symbol | None:
        """Record a name that no longer exists, and return it in what became of its module."""
        main = self.module(module)
        self.lost.add(Symbol(module, name))
        return Symbol(main, name) if main else None
