"""The template: where it is published, which version of it to use, and rendering it."""

import shutil
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stderr, suppress
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from plumbum import ProcessExecutionError

from lakebase_agent.errors import SourceError
from lakebase_agent.project.git import GitError, git
from lakebase_agent.terminal import complain

TEMPLATE = "gh:org/lakebase-agent"
QUESTIONS = "copier.yml"
SHORT = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/"}
CLONED = ("--quiet", "--bare", "--depth", "1", "--no-tags")


def version_of(source: str) -> str:
    """Return the git reference to render: a folder as it is, a git URL at this package's version.

    A URL without that version's tag is rendered from its default branch, which is said. Raises
    SourceError if `source` is neither or can't be reached, or if git is not installed.
    """
    if (Path(source) / QUESTIONS).is_file():
        return "HEAD"
    if ":" not in source:
        raise SourceError(f"{source} is neither a folder with a copier.yml nor a git URL")
    if not shutil.which("git"):
        raise SourceError(f"git is not installed, and {source} needs it")
    tag = f"v{version('lakebase-agent')}"
    try:
        if git(Path(), "ls-remote", "--tags", address_of(source), tag):
            return tag
    except GitError as error:
        raise SourceError(f"can't reach {source}: {last_line(str(error))}") from error
    complain(f"{source} has no version {tag}: its default branch is used")
    return "HEAD"


def address_of(source: str) -> str:
    """Return the address by which git knows a source, for Copier's short forms of it."""
    for short, host in SHORT.items():
        if source.startswith(short):
            return host + source.removeprefix(short).lstrip("/").removesuffix(".git") + ".git"
    return source.removeprefix("git+")


def read_questions(source: str, reference: str) -> dict[str, Any]:
    """Return what copier.yml of a template holds, at a tag or else on its default branch.

    Raises SourceError if git can't fetch it.
    """
    if (Path(source) / QUESTIONS).is_file():
        return _mapping((Path(source) / QUESTIONS).read_text("utf-8"))
    with tempfile.TemporaryDirectory(prefix="lakebase-agent-") as name:
        folder = Path(name)
        try:
            _clone(address_of(source), folder / "template.git", reference)
            return _mapping(git(folder / "template.git", "show", f"HEAD:{QUESTIONS}"))
        except GitError as error:
            raise SourceError(f"can't fetch {source}: {last_line(str(error))}") from error


def _clone(address: str, folder: Path, tag: str) -> None:
    """Clone the commit of a tag, or the newest one if there is no such tag."""
    if tag not in ("", "HEAD"):
        with suppress(GitError):
            git(folder.parent, "clone", *CLONED, f"--branch={tag}", address, str(folder))
            return
    git(folder.parent, "clone", *CLONED, address, str(folder))


def _mapping(text: str) -> dict[str, Any]:
    found = yaml.safe_load(text)
    return found if isinstance(found, dict) else {}


def render(
    source: str,
    folder: Path,
    reference: str,
    answers: Mapping[str, Any],
    *,
    defaults: bool = True,
    skip_tasks: bool = False,
    quiet: bool = False,
) -> None:
    """Render the template into `folder`; without `defaults`, Copier asks what is not answered.

    Raises SourceError if git can't fetch it, and what Copier raises for answers that don't work.
    """
    # Copier takes a third of a second to import.
    from copier import run_copy

    try:
        with redirect_stderr(StringIO()):  # sixty lines of file names
            run_copy(
                source, folder, dict(answers), vcs_ref=reference, defaults=defaults,
                skip_tasks=skip_tasks, quiet=quiet, unsafe=True,
            )  # fmt: skip
    except ProcessExecutionError as error:
        reason = last_line(error.stderr)
        raise SourceError(f"can't fetch {source} at {reference}: {reason}") from error


def last_line(text: str) -> str:
    """Return the last line of what git printed."""
    return (text.strip().splitlines() or ["git failed"])[-1]
