"""The tables in `moves/`: what each release moved or renamed.

    [modules]      # files and folders; of several places, the first is the main one
    "agent_server/leases.py" = "agent_server/threads/lease.py"
    "agent_server/chats.py" = ["agent_server/chat/store.py", "agent_server/chat/rows.py"]
    "agent_server/static/" = "agent_server/chat/page/"

    [names]        # definitions with a new name, class or module
    "agent_server.runs.Run.ended" = "agent_server.responses.task.ResponseTask.wait"

    [absorbed]     # deleted definitions, and the ones that now take the edits of them
    "agent_server.history._repeated" = "agent_server.threads.deduplicate._first_unknown"

    [identifiers]  # other names that changed inside a file
    "agent_server/background_writer.py" = { told = "saved", tell = "mark_saved" }

A definition that keeps its name and moves with its module needs no entry.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.version import Version

TABLES = Path(__file__).parent / "moves"


@dataclass(frozen=True)
class Moves:
    """New paths of files and new names of definitions, by the old; folders end with a slash."""

    modules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    absorbed: Mapping[str, str] = field(default_factory=dict)
    identifiers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def targets(self, path: str) -> tuple[str, ...]:
        """Return where a file moved to; empty if it is in no table."""
        if path in self.modules:
            return self.modules[path]
        for parent in PurePosixPath(path).parents:
            if new := self.modules.get(f"{parent}/"):
                rest = path.removeprefix(f"{parent}/")
                return tuple(f"{folder.removesuffix('/')}/{rest}" for folder in new)
        return ()

    def renamed(self, name: str) -> str | None:
        """Return the new name of a definition that is in the table, or whose class is."""
        owner, _, member = name.rpartition(".")
        if name in self.names or owner not in self.names:
            return self.names.get(name)
        name = f"{self.names[owner]}.{member}"
        return self.names.get(name, name)

    def then(self, later: "Moves") -> "Moves":
        """Return these moves, followed by `later`."""
        modules = {
            old: tuple(dict.fromkeys(last for p in new for last in later.targets(p) or (p,)))
            for old, new in self.modules.items()
        }
        absorbed = {
            old: later.absorbed.get(new) or later.renamed(new) or new
            for old, new in (*self.names.items(), *self.absorbed.items())
            if old in self.absorbed or new in later.absorbed
        }
        names = {old: later.renamed(new) or new for old, new in self.names.items()}
        return Moves(
            {**later.modules, **modules},
            {**later.names, **names},
            {**later.absorbed, **absorbed},
            {**later.identifiers, **self.identifiers},
        )


def read_moves(tables: Iterable[str]) -> Moves:
    """Return the moves of several tables, given from the earliest release to the latest.

    Raises ValueError if a table is not valid TOML.
    """
    moves = Moves()
    for text in tables:
        moves = moves.then(_parse(tomllib.loads(text)))
    return moves


def moves_between(previous: str, current: str) -> Moves:
    """Return what the releases after `previous`, up to `current`, moved.

    Raises ValueError if a version or a table is invalid.
    """
    versions = {Version(path.stem): path for path in TABLES.glob("*.toml")}
    wanted = sorted(v for v in versions if Version(previous) < v <= Version(current))
    return read_moves(versions[version].read_text("utf-8") for version in wanted)


def _parse(table: Mapping[str, Any]) -> Moves:
    modules = table.get("modules", {})
    places = {old: (new,) if isinstance(new, str) else tuple(new) for old, new in modules.items()}
    names, absorbed = table.get("names", {}), table.get("absorbed", {})
    return Moves(places, names, absorbed, table.get("identifiers", {}))
