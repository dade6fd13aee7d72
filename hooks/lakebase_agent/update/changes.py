"""What an update does to each file of a project, and doing it to the project itself."""

import ast
import signal
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from copier import run_copy

from lakebase_agent.merging.merged import Merged
from lakebase_agent.project.answers import plain, read_answers
from lakebase_agent.project.git import GitError, git, names, top_of
from lakebase_agent.update.killed import noted

PARSERS: dict[str, Callable[[str], Any]] = {
    ".py": ast.parse,
    ".toml": tomllib.loads,
    ".yml": lambda text: list(yaml.parse(text)),
}
TROUBLED = ("conflict", "broken")
COMPARED = ("--cached", "--no-renames", "--no-ext-diff", "--no-color")


@dataclass(frozen=True)
class Change:
    """What an update does to one file of a project."""

    path: str
    kind: str
    edited: bool = False
    ignored: bool = False

    @property
    def troubled(self) -> bool:
        """Whether the owner has to fix the file."""
        return self.kind in TROUBLED

    @property
    def warns(self) -> bool:
        """Whether it is listed last: the file is deleted, or the owner has to fix it."""
        return self.troubled or self.kind == "delete"

    def __str__(self) -> str:
        edits = "   (with your edits in it)" if self.edited else ""
        hint = "   (git ignores it: git add --force)" if self.ignored else ""
        return f"{self.kind:9} {self.path}{edits}{hint}"


def in_order(changes: list[Change]) -> list[Change]:
    """Return changes as they are listed: those that call for action last."""
    return sorted(changes, key=lambda change: (change.warns, change.troubled))


@dataclass(frozen=True)
class Rehearsal:
    """A copy of the project in which the update was done; `base` is the commit before it.

    `stages` are the entries of git's index for files with conflicts, as `git ls-files` has them;
    `ignored` are new files that git ignores.
    """

    project: Path
    copy: Path
    base: str
    stages: list[str]
    ignored: list[str]
    report: Merged

    def changes(self) -> list[Change]:
        """Return what the update does to each file: deletions come last but for conflicts.

        `edited` is only known of files that are moved or deleted. Raises GitError and Copier's
        errors.
        """
        states = names(self.copy, "diff", *COMPARED, self.base, "--relative", "--name-status", "-z")
        kinds = dict(zip(states[1::2], states[::2], strict=True))
        moves = [move for move in self.report.moved if kinds.get(move.old) == "D"]
        deletions = self._deletions(kinds, {move.old for move in moves})
        found = self._written(kinds, {move.new for move in moves})
        found += [Change(f"{move.old} -> {move.new}", "move", move.edited) for move in moves]
        return in_order(found + deletions)

    def not_applied(self) -> list[str]:
        """Return a line for each change, by the template or the owner, that was not applied."""
        return [f"not applied: {item.path}, {item.reason}" for item in self.report.not_applied]

    def diff(self) -> str:
        """Return what changes, as a diff; raises GitError."""
        return git(self.copy, "diff", *COMPARED, self.base, "--binary", "--", ".")

    def bring_over(self) -> None:
        """Apply the changes to the project, all or none; raises GitError.

        Only a kill in the middle leaves some, and a note of it.
        """
        patch, top = self.diff(), top_of(self.project)
        for entry in self.stages:
            blob = git(self.copy, "cat-file", "blob", entry.split()[1])
            git(top, "hash-object", "-w", "--stdin", given=blob)
        merged = {entry.split("\t")[1] for entry in self.stages}
        entries = [f"0 {'0' * 40}\t{path}" for path in merged] + self.stages
        index = "".join(f"{entry}\0" for entry in entries)
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with noted(self.project, self.ignored):
                _apply(top, patch, index)
        finally:
            signal.signal(signal.SIGINT, previous)

    def _written(self, kinds: Mapping[str, str], arrived: set[str]) -> list[Change]:
        """Return the files that are added or changed, except those that merely `arrived`."""
        paths = [path for path, state in kinds.items() if state != "D"]
        found = [
            Change(path, self._kind(path, kinds[path]), ignored=path in self.ignored)
            for path in paths
        ]
        return [change for change in found if change.kind != "add" or change.path not in arrived]

    def _deletions(self, kinds: Mapping[str, str], moved: set[str]) -> list[Change]:
        """Return the files that are deleted, and not `moved`."""
        paths = [path for path, state in kinds.items() if state == "D" and path not in moved]
        edited = self._edited(paths) if paths else set()
        return [Change(path, "delete", path in edited) for path in paths]

    def _kind(self, path: str, state: str) -> str:
        full = (self.copy / path).relative_to(top_of(self.copy)).as_posix()
        staged = any(entry.endswith(f"\t{full}") for entry in self.stages)
        if staged or path.endswith(".rej") or path in self.report.conflicts:
            return "conflict"
        if not parses(self.copy / path):
            return "broken"
        return "add" if state == "A" else "change"

    def _edited(self, paths: list[str]) -> set[str]:
        """Return those of `paths` that differ from what the template rendered."""
        answers = read_answers(self.project)
        with tempfile.TemporaryDirectory() as folder:
            rendered = Path(folder) / self.project.name
            run_copy(
                answers["_src_path"], rendered, plain(answers), vcs_ref=answers["_commit"],
                defaults=True, quiet=True, unsafe=True, skip_tasks=True,
            )  # fmt: skip
            return {path for path in paths if not _same(rendered / path, self.project / path)}


def _apply(top: Path, patch: str, index: str) -> None:
    """Change the files and the index of a repository, or neither; raises GitError."""
    git(top, "apply", "--whitespace=nowarn", "-", given=patch)
    try:
        git(top, "update-index", "-z", "--index-info", given=index)
    except GitError:
        git(top, "apply", "--whitespace=nowarn", "--reverse", "-", given=patch)
        raise


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and one.read_bytes() == other.read_bytes()


def parses(path: Path) -> bool:
    """Return whether a file is valid in its language; true if the language is not known."""
    parse = PARSERS.get(path.suffix, str)
    try:
        parse(path.read_bytes().decode("utf-8", "replace"))
    except (SyntaxError, ValueError, yaml.YAMLError):
        return False
    return True
