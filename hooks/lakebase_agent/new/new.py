"""`lakebase-agent new`: render a project through Copier, so that `copier update` works on it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from copier import run_copy
from plumbum import ProcessExecutionError

from lakebase_agent.errors import UsageError
from lakebase_agent.project.files import read_answers

TEMPLATE = "gh:org/lakebase-agent"
COMPUTED = ("memory_schema", "project_framework")  # answers that nobody is asked for


class SourceError(Exception):
    """The template can't be reached; the text says why."""


@dataclass(frozen=True)
class NewOptions:
    """What to generate, from a folder or a git URL; with `ask`, a person answers the rest."""

    destination: str
    source: str = TEMPLATE
    answers: Mapping[str, Any] = field(default_factory=dict)
    ask: bool = False
    install: bool = True
    progress: bool = False


@dataclass(frozen=True)
class Generated:
    """A project that was generated; `next` are commands."""

    folder: str
    version: str
    answers: dict[str, Any]
    files: list[str]
    installed: bool
    next: list[str]


def new_project(options: NewOptions) -> Generated:
    """Generate a project, and install its packages.

    A folder is taken as it is, a git URL at the tag of this package's version. Raises UsageError,
    SourceError, and whatever Copier says of the answers; nothing is left then.
    """
    folder = Path(options.destination)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UsageError(f"{options.destination} is not empty; choose a new folder")
    if options.ask and not sys.stdin.isatty():
        raise UsageError("nobody is here to ask; add --defaults, and --data for other answers")
    tag = tag_of(options.source)
    answers = dict(options.answers)
    try:
        if options.ask:
            answers = _ask(folder, options.source, tag, answers)
        with removed_on_ctrl_c(folder):
            render(options.source, folder, tag, answers)
    except ProcessExecutionError as error:
        reason = last_line(error.stderr)
        raise SourceError(f"can't get {options.source} at {tag}: {reason}") from error
    return _finish(folder, options)


def _ask(folder: Path, source: str, tag: str, answers: dict[str, Any]) -> dict[str, Any]:
    """Return all answers of a person, who has seen what they lead to."""
    from lakebase_agent.new.wizard import agree, pick

    answers = pick(answers)
    with tempfile.TemporaryDirectory() as place:
        preview = Path(place) / folder.resolve().name
        render(source, preview, tag, answers, defaults=False, skip_tasks=True)
        complete = plain(read_answers(preview))
        agree(folder, complete, list_files(preview))
    return complete


def render(source: str, folder: Path, tag: str, answers: Mapping[str, Any], **more: Any) -> None:
    """Render the template into `folder`; ProcessExecutionError when git can't get it."""
    options = {"defaults": True, **more}
    with redirect_stderr(StringIO()):  # sixty lines of file names
        run_copy(source, folder, dict(answers), vcs_ref=tag, unsafe=True, **options)


@contextmanager
def removed_on_ctrl_c(folder: Path) -> Iterator[None]:
    """Remove what is half generated; Copier does so for errors only."""
    existed = folder.exists()
    try:
        yield
    except KeyboardInterrupt:
        for path in folder.iterdir() if existed else [folder]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        raise


def _finish(folder: Path, options: NewOptions) -> Generated:
    answers = read_answers(folder)
    files = list_files(folder)
    installed = options.install and _install(folder, options.progress)
    first = "uv run start-app" if installed or not options.install else "uv sync"
    rest = ["uv run pytest"] if first != "uv sync" else ["uv run start-app"]
    commands = [f'cd "{options.destination}"', first, *rest]
    used = str(answers.get("_commit", ""))
    return Generated(str(folder.resolve()), used, plain(answers), files, installed, commands)


def _install(folder: Path, progress: bool) -> bool:
    """Install the project's packages, with the progress that uv shows; say whether it worked."""
    uv = os.environ.get("UV") or shutil.which("uv")
    variables = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    try:
        command = [uv or "uv", "sync", *([] if progress else ["--quiet"])]
        done = subprocess.run(command, cwd=folder, env=variables, stdout=sys.stderr, check=False)
        return done.returncode == 0
    except (FileNotFoundError, KeyboardInterrupt):
        return False


def list_files(folder: Path) -> list[str]:
    """Return the files below `folder`, git's own aside."""
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return sorted(path.as_posix() for path in paths if path.parts[0] != ".git")


def plain(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return answers as plain values, without what Copier notes about itself."""
    kept = {key: value for key, value in answers.items() if not key.startswith("_")}
    found: dict[str, Any] = json.loads(json.dumps(kept, default=str))
    return found


def tag_of(source: str) -> str:
    """Return the version of a template to render: this package's, or a folder as it is."""
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


def read_answers_file(path: str) -> dict[str, Any]:
    """Return the answers in a YAML file, such as another project's .copier-answers.yml.

    What is that project's alone is left out: two apps in one schema would share their memories.
    """
    try:
        found = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"can't read answers from {path}: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} holds no answers: it must be a YAML mapping")
    return {key: value for key, value in plain(found).items() if key not in COMPUTED}


def to_answers(pairs: Sequence[str]) -> dict[str, str]:
    """Return `["framework=openai", …]` as answers; Copier reads the values as YAML."""
    answers = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise UsageError(f"--data takes question=answer, not {pair!r}")
        answers[key] = value
    return answers
