"""Merging the modules of an adopted project, as their owner has them, with another version."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from lakebase_agent.adopt.existing_agent import MEMORY_FOLDER
from lakebase_agent.adopt.modules.moves import ImportPaths, moves_of_modules
from lakebase_agent.adopt.modules.rendered import Rendered
from lakebase_agent.adopt.place import Place
from lakebase_agent.errors import UsageError
from lakebase_agent.merging.merged import Merged, NotApplied
from lakebase_agent.merging.texts import as_before
from lakebase_agent.merging.trees import merge_trees
from lakebase_agent.project.answers import ADOPTED

Texts = Mapping[str, str]
FOREIGN_FOLDERS = {"node_modules", "site-packages"}
KEPT = "which is kept: it differs from what was added, and this version has no such module"
UNKNOWN = f"""\
can't merge {{files}}: these modules are of an earlier release, and it is not known what
they were before you edited them. In {ADOPTED}, name that release as `version`
and a git repository that has it as `source`; commit, and run this command again"""


def merge_modules(folder: Path, place: Place, old: Rendered, new: Rendered) -> Merged:
    """Return what becomes of the owner's modules: all files to write, and all to delete.

    The owner's other files import what moved from its new place. Raises UsageError if a file of
    the owner's is where a new module goes, or if a module of an earlier release is not in `old`.
    """
    modules = [path.relative_to(folder).as_posix() for path in _python_files(folder / place.folder)]
    ours = _read(folder, [*modules, *old.files, *new.files])
    _check_free(ours, old.files, new.files)
    _check_known(ours, old.files, new.files, place)
    if old is new:
        return Merged()
    ours |= _files_that_import(folder)
    paths = ImportPaths(place)
    moves = moves_of_modules(place, old.version, new.version)
    merged = merge_trees(paths.of(old.files), paths.of(ours), paths.of(new.files), moves)
    return _complete(paths.all_back(merged), old.files, ours, new.files)


def _check_free(ours: Texts, old: Texts, new: Texts) -> None:
    for path, text in new.items():
        if path not in old and ours.get(path, text) != text:
            raise UsageError(f"{path} is new in this version, and exists: move it away")


def _check_known(ours: Texts, old: Texts, new: Texts, place: Place) -> None:
    """Raise UsageError for modules that have moved in `new`, if `old` does not have them."""
    paths = ImportPaths(place)
    unknown = []
    for name, targets in moves_of_modules(place).modules.items():
        path, homes = paths.back(name), {paths.back(target) for target in targets}
        if path in ours and path not in old and homes & new.keys() and not homes & ours.keys():
            unknown.append(path)
    if unknown:
        raise UsageError(UNKNOWN.format(files=", ".join(sorted(unknown))))


def _complete(merged: Merged, old: Texts, ours: Texts, new: Texts) -> Merged:
    """Return a merge with all modules that change, also those without edits."""
    gone = (old.keys() - new.keys() - set(merged.dropped)) & ours.keys()
    kept = [NotApplied(path, KEPT) for path in merged.dropped]
    return Merged(
        files={**_without_edits(merged, old, ours, new), **merged.files},
        deleted=sorted(gone),
        conflicts=merged.conflicts,
        moved=merged.moved,
        not_applied=[*merged.not_applied, *kept],
    )


def _without_edits(merged: Merged, old: Texts, ours: Texts, new: Texts) -> dict[str, str]:
    """Return the new modules, with the line ends of the owner's, but not what the owner deleted."""
    before = {item.new: item.old for item in merged.moved}
    left_out = {*merged.deleted, *(old.keys() - ours.keys())}
    return {
        path: as_before(ours.get(before.get(path, path), ""), text)
        for path, text in new.items()
        if path not in left_out and old.get(path) != text
    }


def _files_that_import(folder: Path) -> dict[str, str]:
    """Return the Python files of a project that name the folder of the modules."""
    paths = [path.relative_to(folder) for path in _python_files(folder)]
    own = [path.as_posix() for path in paths if not FOREIGN_FOLDERS.intersection(path.parts)]
    return {path: text for path, text in _read(folder, own).items() if MEMORY_FOLDER in text}


def _python_files(folder: Path) -> Iterator[Path]:
    """Yield the Python files below a folder, except in hidden folders."""
    for path in sorted(folder.rglob("*.py")):
        if not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _read(folder: Path, paths: Iterable[str]) -> dict[str, str]:
    """Return the texts of those files that exist, and are UTF-8."""
    texts = {}
    for path in dict.fromkeys(paths):
        with suppress(FileNotFoundError, UnicodeDecodeError):
            texts[path] = (folder / path).read_bytes().decode("utf-8")
    return texts
