"""What a release moved, in terms of the place where the modules are in an adopted project."""

import posixpath
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import PurePosixPath

from packaging.version import InvalidVersion, Version

from lakebase_agent.adopt.modules.relocation import PACKAGE
from lakebase_agent.adopt.place import SCRIPT, Place
from lakebase_agent.merging.merged import Merged, Moved, NotApplied
from lakebase_agent.merging.moves import Moves, moves_between

EARLIEST, LATEST = "0", "1!0"  # before and after every release
SINCE_TAG = re.compile(r"-\d+-g[0-9a-f]+$")  # in what `git describe` says


class ImportPaths:
    """The paths of a project's files, seen from the folder where its imports start."""

    def __init__(self, place: Place) -> None:
        parts = PurePosixPath(place.folder).parts
        self._root = "/".join(parts[: len(parts) - len(place.module.split("."))]) or "."

    def of(self, files: Mapping[str, str]) -> dict[str, str]:
        """Return files of the project by their paths from there."""
        return {posixpath.relpath(path, self._root): text for path, text in files.items()}

    def back(self, path: str) -> str:
        """Return the path in the project."""
        return posixpath.normpath(posixpath.join(self._root, path))

    def all_back(self, merged: Merged) -> Merged:
        """Return a merge with paths in the project."""
        back = self.back
        return Merged(
            files={back(path): text for path, text in merged.files.items()},
            deleted=[back(path) for path in merged.deleted],
            conflicts=[back(path) for path in merged.conflicts],
            moved=[Moved(back(item.old), back(item.new), item.edited) for item in merged.moved],
            not_applied=[NotApplied(back(item.path), item.reason) for item in merged.not_applied],
            dropped=[back(path) for path in merged.dropped],
        )


def moves_of_modules(place: Place, before: str = "", now: str = "") -> Moves:
    """Return what moved between two versions of the template, with paths of `ImportPaths`.

    A version that follows a release counts as that release if it is the old one, and has the moves
    of the next one if it is the new one. Without versions, return what moved in any release.
    """
    earliest = _release(SINCE_TAG.sub("", before)) or EARLIEST
    return _relocated(moves_between(earliest, _release(now) or LATEST), place)


def _release(version: str) -> str:
    """Return the number of a release; empty if the version is not one."""
    with suppress(InvalidVersion):
        return str(Version(version))
    return ""


def _to_module(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def _relocated(moves: Moves, place: Place) -> Moves:
    folder = place.module.replace(".", "/")

    def path(name: str) -> str:
        return folder + name.removeprefix(PACKAGE)

    [script] = map(_to_module, ImportPaths(place).of({place.script: ""}))

    def dotted(name: str) -> str:
        if name.startswith(f"{_to_module(SCRIPT)}."):
            return script + name.removeprefix(_to_module(SCRIPT))
        return place.module + name.removeprefix(PACKAGE)

    return Moves(
        modules={
            path(name): tuple(path(target) for target in targets)
            for name, targets in moves.modules.items()
            if name.startswith(f"{PACKAGE}/")
        },
        names={dotted(name): dotted(target) for name, target in moves.names.items()},
        absorbed={dotted(name): dotted(target) for name, target in moves.absorbed.items()},
        identifiers={path(name): names for name, names in moves.identifiers.items()},
    )
