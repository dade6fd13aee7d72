"""The template: where it is published, which version of it to use, and rendering it."""

import shutil
from collections.abc import Mapping
from contextlib import redirect_stderr
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

from copier import run_copy
from plumbum import ProcessExecutionError

from lakebase_agent.errors import SourceError

TEMPLATE = "gh:org/lakebase-agent"


def version_of(source: str) -> str:
    """Return the git reference to render: a folder as it is, a git URL at this package's version.

    Raises SourceError if `source` is neither, or if git is not installed.
    """
    if (Path(source) / "copier.yml").is_file():
        return "HEAD"
    if ":" not in source:
        raise SourceError(f"{source} is neither a folder with a copier.yml nor a git URL")
    if not shutil.which("git"):
        raise SourceError(f"git is not installed, and {source} needs it")
    return f"v{version('lakebase-agent')}"


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
