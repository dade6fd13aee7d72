"""What must be true of a project before it is updated."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakebase_agent.errors import UsageError
from lakebase_agent.project.answers import ANSWERS, read_adopted, read_answers
from lakebase_agent.project.git import (
    LINK,
    GitError,
    names,
    shortened,
    tracked,
    uncommitted,
    unwatched,
)

# What the template renders is in these folders.
ROOMS = (".github", "agent_server", "evals", "local", "scripts", "tests")
# What git sets for its hooks leads every other git command elsewhere.
LEADING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
LED = "{names} is set, as in a git hook, and leads git elsewhere. Run: unset {names}"
IN_GIT = """\
{project} must be in a git repository ({error}). In it, run:
    git init && git add --all && git commit --message "before the update\""""
SPARSE = "the checkout is sparse: {files} are not there. Run: git sparse-checkout disable"
UNWATCHED = """\
git was told not to look at {files}, so that an update could lose what is there. Run:
    git update-index --no-skip-worktree --no-assume-unchanged {files}"""
LINKED = "an update can't follow {links}: make it a folder instead of a symbolic link, and commit"


def check_project(project: Path) -> dict[str, Any]:
    """Return the answers of a project that can be updated; raises UsageError for others."""
    if read_adopted(project):
        raise UsageError(f"{project} was adopted, not generated. Run: lakebase-agent adopt")
    answers = read_answers(project)
    _check_committed(project)
    _check_template(answers)
    return answers


def _check_committed(project: Path) -> None:
    if led := [name for name in LEADING if name in os.environ]:
        raise UsageError(LED.format(names=" ".join(led)))
    try:
        if not names(project, "ls-files", "-z", "--", ANSWERS):
            raise UsageError(f"git does not track {project}. Commit the project first.")
    except GitError as error:
        raise UsageError(IN_GIT.format(project=project, error=error)) from error
    if unsaved := uncommitted(project):
        raise UsageError(f"commit or stash your changes first: {shortened(unsaved)}")
    _check_watched(project)
    followed = [path for path in tracked(project, LINK) if path.split("/")[0] in ROOMS]
    if rooms := [path for path in followed if (project / path).is_dir()]:
        raise UsageError(LINKED.format(links=", ".join(rooms)))


def _check_watched(project: Path) -> None:
    hidden = unwatched(project)
    if absent := [path for path in hidden if not (project / path).exists()]:
        raise UsageError(SPARSE.format(files=shortened(absent)))
    if hidden:
        raise UsageError(UNWATCHED.format(files=shlex.join(hidden)))


def _check_template(answers: Mapping[str, Any]) -> None:
    source = str(answers.get("_src_path", ""))
    if not answers.get("_commit") or not source:
        raise UsageError(
            f"{ANSWERS} names no version of the template: it was a folder without git. Generate a "
            "project with `lakebase-agent new`, with the same answers, and move your files there."
        )
    if ":" not in source and not _has_template(Path(source).expanduser()):
        raise UsageError(
            f"there is no template in {source!r}, which {ANSWERS} names. Set _src_path there to "
            "where it is now, commit, and update again."
        )


def _has_template(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("copier.yml", "HEAD"))  # or a bare repository
