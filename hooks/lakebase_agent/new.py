"""`lakebase-agent new`: render a project through Copier, so that `copier update` works on it."""

import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from copier import run_copy
from plumbum import ProcessExecutionError

from lakebase_agent.errors import UsageError

TEMPLATE = "gh:org/lakebase-agent"


class SourceError(Exception):
    """The template can't be reached; the text says why."""


def new_project(destination: str, source: str, answers: dict[str, str], defaults: bool) -> None:
    """Generate a project in `destination` from `source`, a folder or a git URL.

    A folder is taken as it is, a git URL at the tag of this package's version. Raises UsageError,
    SourceError, and whatever Copier says of the answers.
    """
    folder = Path(destination)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UsageError(f"{destination} is not empty; choose a new folder")
    if not defaults and not sys.stdin.isatty():
        raise UsageError("nobody is here to ask; add --defaults, and --data for other answers")
    tag = _tag(source)
    try:
        run_copy(source, destination, answers, vcs_ref=tag, defaults=defaults, unsafe=True)
    except ProcessExecutionError as error:
        raise SourceError(f"can't get {source} at {tag}: {last_line(error.stderr)}") from error


def _tag(source: str) -> str:
    if (Path(source) / "copier.yml").is_file():
        return "HEAD"
    if ":" not in source:
        raise SourceError(f"{source} is neither a folder with a copier.yml nor a git URL")
    if not shutil.which("git"):
        raise SourceError(f"git is not installed, and {source} needs it")
    return f"v{version('lakebase-agent')}"


def last_line(text: str) -> str:
    """Return the last line of what git said."""
    return (text.strip().splitlines() or ["git failed"])[-1]


def to_answers(pairs: Sequence[str]) -> dict[str, str]:
    """Return `["framework=openai", …]` as answers; Copier reads the values as YAML."""
    answers = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise UsageError(f"--data takes question=answer, not {pair!r}")
        answers[key] = value
    return answers
