"""What must be true of a project before it is updated."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakebase_agent.errors import UsageError
from lakebase_agent.project.answers import ANSWERS, read_adopted, read_answers
from lakebase_agent.project.git import GitError, git, names


def check_project(project: Path) -> dict[str, Any]:
    """Return the answers of a project that can be updated; raises UsageError for others."""
    if read_adopted(project):
        raise UsageError(f"{project} was adopted, not generated. Run: lakebase-agent adopt")
    answers = read_answers(project)
    _check_committed(project)
    _check_template(answers)
    return answers


def _check_committed(project: Path) -> None:
    try:
        if not names(project, "ls-files", "-z", "--", ANSWERS):
            raise UsageError(f"git does not track {project}. Commit the project first.")
        states = git(project, "status", "--porcelain", "--", ".").splitlines()
    except GitError as error:
        raise UsageError(f"{project} must be in a git repository ({error})") from error
    if states:
        files = ", ".join(line[3:] for line in states[:10]) + (" ..." if len(states) > 10 else "")
        raise UsageError(f"commit or stash your changes first: {files}")


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
