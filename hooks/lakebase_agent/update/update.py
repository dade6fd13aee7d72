"""`lakebase-agent update`: Copier's update, showing what will change before changing it."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import questionary
from plumbum import ProcessExecutionError

from lakebase_agent.errors import SourceError, UsageError
from lakebase_agent.project.answers import plain, read_answers
from lakebase_agent.project.bundle import TARGET_FILES, read_target
from lakebase_agent.questions import to_given
from lakebase_agent.template import last_line, read_questions
from lakebase_agent.terminal import ask
from lakebase_agent.update.changes import TROUBLED, Change, Rehearsal
from lakebase_agent.update.checks import check_project
from lakebase_agent.update.rehearsal import open_rehearsal

LOOKED_UP = {
    "autoscaling": {"lakebase_branch", "lakebase_database"},
    "provisioned": {"lakebase_instance"},
}
WARNINGS = {"deleted": ("delete",), "with conflicts": TROUBLED}
ENV = {
    "lakebase_branch": "LAKEBASE_AUTOSCALING_",
    "lakebase_database": "LAKEBASE_AUTOSCALING_",
    "lakebase_instance": "LAKEBASE_INSTANCE_NAME",
}
Say = Callable[[str], None]


@dataclass(frozen=True)
class UpdateOptions:
    """How to update; an empty version is the latest release."""

    data: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    dry_run: bool = False
    yes: bool = False
    interactive: bool = False


@dataclass(frozen=True)
class Outcome:
    """The result of an update: files to fix, and whether the project has to be linked."""

    troubled: list[str] = field(default_factory=list)
    link: bool = False


def update(project: Path, options: UpdateOptions, say: Say) -> Outcome:
    """Bring `project` to another version of its template, or to other answers.

    Raises UsageError, SourceError, GitError and Copier's errors about the answers; the project is
    then unchanged.
    """
    with open_update(project, options) as rehearsal:
        return _finish(rehearsal, read_answers(project), options, say)


@contextmanager
def open_update(project: Path, options: UpdateOptions) -> Iterator[Rehearsal]:
    """Yield an update of `project`, done in a copy; raises the same errors as `update`."""
    answers = check_project(project)
    data = _given(options, answers)
    ask = options.interactive and not options.yes
    try:
        with open_rehearsal(project, data, options.version, ask) as rehearsal:
            yield rehearsal
    except ProcessExecutionError as error:
        source = f"{answers['_src_path']} {options.version}".strip()
        raise SourceError(f"can't get {source}: {last_line(error.stderr)}") from error


def _given(options: UpdateOptions, answers: Mapping[str, Any]) -> dict[str, Any]:
    if not options.data:
        return {}
    questions = read_questions(str(answers["_src_path"]), options.version)
    return to_given(options.data, questions, known=plain(answers))


def _finish(
    rehearsal: Rehearsal, before: Mapping[str, Any], options: UpdateOptions, say: Say
) -> Outcome:
    """Show what an update does and, unless this is a dry run, do it."""
    changes, after = rehearsal.changes(), read_answers(rehearsal.copy)
    if options.dry_run:
        sys.stdout.write(rehearsal.diff().encode("utf-8", "replace").decode())
    say(f"from {before['_commit']} to {after['_commit']}")
    _say_all(_ordinary(changes), say)
    warnings = [str(change) for change in changes if change.warns] + rehearsal.not_applied()
    if options.dry_run:
        _say_all([*warnings, "nothing was written: this was a dry run"], say)
        return Outcome()
    asks = _asks(changes, options)
    if asks:
        _say_all(warnings, say)
    if changes:
        _bring_over(rehearsal, changes, options, say)
    _say_all(_left_over(rehearsal.project, _needed(before) - _needed(after)), say)
    if not asks:
        _say_all(warnings, say)
    known = read_target(rehearsal.project, "dev").keys()
    return Outcome(_troubled(changes), bool(_needed(after) - _needed(before) - known))


def _say_all(lines: Iterable[str], say: Say) -> None:
    for line in lines:
        say(line)


def _ordinary(changes: list[Change]) -> list[str]:
    """Return a line for each change that needs no warning."""
    if not changes:
        return ["nothing changes"]
    return [str(change) for change in changes if not change.warns]


def _troubled(changes: list[Change]) -> list[str]:
    return [change.path for change in changes if change.troubled]


def _bring_over(
    rehearsal: Rehearsal, changes: list[Change], options: UpdateOptions, say: Say
) -> None:
    _agree(changes, options)
    rehearsal.bring_over()
    if not _troubled(changes):
        say("done. Look at `git diff`, run `uv run pytest`, and commit.")


def _counts(changes: list[Change]) -> dict[str, int]:
    return {word: sum(c.kind in kinds for c in changes) for word, kinds in WARNINGS.items()}


def _asks(changes: list[Change], options: UpdateOptions) -> bool:
    """Return whether to ask the user, who must see the warnings first."""
    return options.interactive and not options.yes and any(_counts(changes).values())


def _agree(changes: list[Change], options: UpdateOptions) -> None:
    """Ask the user if necessary; raises UsageError or KeyboardInterrupt if they must not go on."""
    lost = [change.path for change in changes if change.edited and change.kind == "delete"]
    if _asks(changes, options):
        counts = " and ".join(f"{n} {word}" for word, n in _counts(changes).items() if n)
        if not ask(questionary.confirm(f"Go on? Files: {counts}.", default=False)):
            raise KeyboardInterrupt
    elif lost and not options.yes:
        raise UsageError(
            f"your edits in {', '.join(lost)} would be lost. Add --yes to delete them anyway."
        )


def _needed(answers: Mapping[str, Any]) -> set[str]:
    flavour = str(answers.get("lakebase"))
    return LOOKED_UP.get(flavour, set()) if answers.get("memory") else set()


def _left_over(project: Path, variables: set[str]) -> Iterator[str]:
    """Yield which settings of the previous Lakebase to remove: the bundle no longer has them."""
    for path in sorted(project.glob(TARGET_FILES)):
        target = path.name.split(".")[1]
        if found := sorted(variables & read_target(project, target).keys()):
            yield f"remove from {path.name}: {', '.join(found)}"
    env = project / ".env"
    names_in_env = {ENV[variable] for variable in variables}
    if env.is_file() and any(name in env.read_text("utf-8") for name in names_in_env):
        yield f"remove from .env: the lines of {', '.join(sorted(names_in_env))}"
