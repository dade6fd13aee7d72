"""The last step of merging a file: importing what its code uses."""

from collections.abc import Sequence
from dataclasses import dataclass

from lakebase_agent.merging.files import File
from lakebase_agent.merging.imports.block import Import, read_imports
from lakebase_agent.merging.imports.symbols import Symbols
from lakebase_agent.merging.python.renaming import used_in
from lakebase_agent.merging.python.source import IMPORTS, Module, dotted


@dataclass(frozen=True)
class Source:
    """An old file that the owner edited, with and without the edits.

    `files` are the new files that its edits went to; `home` is the path of the main one.
    """

    base: Module
    ours: Module
    home: str
    files: Sequence[File] = ()

    def used_elsewhere(self, name: str, file: File) -> bool:
        """Return whether another new file uses a name that this one does not."""
        if name in used_in(file.text(shown=False)):
            return False
        return any(name in used_in(f.text(shown=False)) for f in self.files if f is not file)


def finish(file: File, sources: Sequence[Source], symbols: Symbols) -> list[str]:
    """Add and remove imports; return the names that the owner's code uses but nothing defines."""
    for source in sources:
        _apply_import_edits(file, source)
    missing = []
    for name in sorted(file.missing()):
        found = [item for source in sources if (item := _origin(name, source, symbols))]
        file.add_imports(found[:1])
        if not found and any(_known(name, source.ours) for source in sources):
            missing.append(name)
    return missing


def _apply_import_edits(file: File, source: Source) -> None:
    """Import what the owner imported where it is used, and drop what they removed."""
    base, ours = _imports(source.base), _imports(source.ours)
    added = [item for item in ours if item not in base]
    if source.home != file.module.path:
        needed = file.missing()
        file.add_imports([item for item in added if item.local in needed])
        return
    file.add_imports([item for item in added if not source.used_elsewhere(item.local, file)])
    file.remove_imports({item for item in base if item not in ours})


def _imports(module: Module) -> list[Import]:
    pieces = module.by_name[IMPORTS].pieces if IMPORTS in module.by_name else ()
    return [item for piece in pieces for item in read_imports(piece)]


def _origin(name: str, source: Source, symbols: Symbols) -> Import | None:
    """Return an import for a name that the owner's file defined or imported."""
    if found := source.ours.imported.get(name):
        if not found.name:
            return Import(found.module, "", name if name != found.module else "")
        return Import(found.module, found.name, name if name != found.name else "")
    if name not in source.ours.defined:
        return None
    if name not in source.base.defined:
        return Import(dotted(source.home), name)  # the owner added it
    new = symbols.symbol(dotted(source.base.path), name)
    symbols.lost.clear()
    if new and symbols.binds(new.module, new.name):
        return Import(new.module, new.name, name if name != new.name else "")
    return None


def _known(name: str, module: Module) -> bool:
    return name in module.imported or name in module.defined
