"""`lakebase-agent new`: render a project through Copier, so that `copier update` works on it."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lakebase_agent.errors import UsageError
from lakebase_agent.project.answers import plain, read_answers
from lakebase_agent.questions import to_given, to_lists
from lakebase_agent.template import TEMPLATE, read_questions, render, version_of
from lakebase_agent.terminal import is_interactive

COMPUTED = ("memory_schema", "project_framework")  # answers that Copier computes, and never asks


@dataclass(frozen=True)
class NewOptions:
    """What to generate, and how; with `ask`, a person gives the answers that are missing.

    The answers in `data` win over those of an earlier project, and must be to questions that there
    are.
    """

    destination: str
    source: str = TEMPLATE
    earlier: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    ask: bool = False
    install: bool = True
    progress: bool = False


@dataclass(frozen=True)
class GeneratedProject:
    """A project that was generated; `next` holds the commands to run in it."""

    folder: str
    version: str
    answers: dict[str, Any]
    files: list[str]
    installed: bool
    next: list[str]


def new_project(options: NewOptions) -> GeneratedProject:
    """Generate a project, and install its packages.

    A template in a folder is rendered as it is, one at a git URL at the tag of this package's
    version. Raises UsageError, SourceError, what Copier raises for answers that don't work, and
    KeyboardInterrupt; then nothing is left behind.
    """
    folder = Path(options.destination)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UsageError(f"{options.destination} is not empty; choose a new folder")
    if options.ask and not is_interactive():
        raise UsageError("nobody is here to ask; add --defaults, and --data for other answers")
    reference = version_of(options.source)
    answers = _given(options, reference)
    if options.ask:
        answers = _ask(folder, options.source, reference, answers)
    with removed_on_ctrl_c(folder):
        render(options.source, folder, reference, answers)
    return _finish(folder, options)


def _given(options: NewOptions, reference: str) -> dict[str, Any]:
    if not options.earlier and not options.data:
        return {}
    questions = read_questions(options.source, reference)
    return {**to_lists(options.earlier, questions), **to_given(options.data, questions)}


def _ask(folder: Path, source: str, reference: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return all answers of a person, who has seen and accepted what they lead to."""
    from lakebase_agent.new.form import Form
    from lakebase_agent.new.wizard import Wizard, confirm

    form = Form(read_questions(source, reference), folder.resolve().name)
    answers = Wizard(form, given).ask()
    with tempfile.TemporaryDirectory() as place:
        preview = Path(place) / folder.resolve().name
        render(source, preview, reference, answers, defaults=False, skip_tasks=True)
        complete = plain(read_answers(preview))
        confirm(folder, complete, list_files(preview))
    return complete


@contextmanager
def removed_on_ctrl_c(folder: Path) -> Iterator[None]:
    """Remove a half-generated project on Ctrl-C; Copier does so only for errors."""
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


def _finish(folder: Path, options: NewOptions) -> GeneratedProject:
    answers = read_answers(folder)
    files = list_files(folder)
    installed = options.install and _install(folder, options.progress)
    if installed or not options.install:
        commands = ["uv run start-app", "uv run pytest"]
    else:
        commands = ["uv sync", "uv run start-app"]
    return GeneratedProject(
        folder=str(folder.resolve()),
        version=str(answers.get("_commit", "")),
        answers=plain(answers),
        files=files,
        installed=installed,
        next=[f'cd "{options.destination}"', *commands],
    )


def _install(folder: Path, progress: bool) -> bool:
    """Install the project's packages, and return whether it worked; `progress` shows uv's."""
    command = [find_uv(), "sync"] if progress else [find_uv(), "sync", "--quiet"]
    try:
        done = subprocess.run(command, cwd=folder, env=of_uv(), stdout=sys.stderr, check=False)
    except (FileNotFoundError, KeyboardInterrupt):
        return False
    return done.returncode == 0


def find_uv() -> str:
    """Return the uv that runs this, or else the one on the path."""
    return os.environ.get("UV") or shutil.which("uv") or "uv"


def of_uv() -> dict[str, str]:
    """Return the environment of a uv that works for the project, not for what is active here."""
    return {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}


def list_files(folder: Path) -> list[str]:
    """Return the files below `folder`, except git's own."""
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return sorted(path.as_posix() for path in paths if path.parts[0] != ".git")


def read_answers_file(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the answers in a YAML file: of an earlier project, and of a person; one is empty.

    The file is another project's .copier-answers.yml if it has what Copier notes about itself. What
    belongs to that project alone is left out: two apps in one schema would share memories. Raises
    UsageError if the file can't be read, or is not a mapping.
    """
    try:
        found = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"can't read answers from {path}: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} holds no answers: it must be a YAML mapping")
    answers = plain(found)
    if len(answers) == len(found):
        return {}, answers
    return {name: value for name, value in answers.items() if name not in COMPUTED}, {}
