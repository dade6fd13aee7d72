"""A note in git's folder while an update is written, for whoever comes back after a kill."""

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lakebase_agent.errors import UsageError
from lakebase_agent.project.git import GitError, git, top_of, uncommitted

NOTE = "lakebase-agent-update"
UNDO = "git checkout HEAD -- . && git clean -d --force ."
KILLED = """\
an update of {project} was killed while it wrote. To undo it, and what you changed since, run:
    {command}
Then update again."""


@contextmanager
def noted(project: Path, ignored: Sequence[str]) -> Iterator[None]:
    """Keep a note of an update while the body writes it, with the new files that git ignores.

    Raises GitError and OSError.
    """
    note = _note(project)
    about = {"head": _head(project), "ignored": list(ignored)}
    note.write_text(json.dumps(about), "utf-8")
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def refuse_half_written(project: Path) -> None:
    """Raise UsageError if an update of a project was killed while it was written."""
    if command := way_back(project):
        raise UsageError(KILLED.format(project=project.resolve(), command=command))


def way_back(project: Path) -> str:
    """Return the command that undoes an update that was killed while it was written; mostly empty.

    It is empty, too, where git says that nothing is left of it, or the owner has committed since.
    """
    with suppress(GitError, OSError, ValueError):
        note, lock = _note(project), _git_folder(project) / "index.lock"
        about: dict[str, Any] = json.loads(note.read_text("utf-8"))
        ignored = [path for path in about["ignored"] if (project / path).exists()]
        left = uncommitted(project) or ignored or lock.exists()
        if left and about["head"] == _head(project):
            unlock = [f"rm {shlex.quote(str(lock))}"] if lock.exists() else []
            clean = [f"git clean --force -x -- {shlex.join(ignored)}"] if ignored else []
            return " && ".join([*unlock, UNDO, *clean])
    return ""


def _note(project: Path) -> Path:
    """Return the note's place: several projects may be in one repository."""
    path = project.resolve().relative_to(top_of(project)).as_posix()
    return _git_folder(project) / f"{NOTE}-{quote(path, safe='')}"


def _git_folder(project: Path) -> Path:
    return Path(git(project, "rev-parse", "--absolute-git-dir").removesuffix("\n"))


def _head(project: Path) -> str:
    return git(project, "rev-parse", "HEAD").strip()
