"""`lakebase-agent new`: render a project through Copier, so that `copier update` works on it."""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from copier import run_copy

TEMPLATE = "gh:org/lakebase-agent"


class UsageError(ValueError):
    """The command can't work as it was given; the text says why."""


def new_project(
    destination: str, template: str, answers: dict[str, Any], defaults: bool
) -> None:
    """Generate a project in `destination` from `template`, a git URL or a folder.

    The published template is used at the installed version. Raises UsageError, and what Copier
    raises.
    """
    folder = Path(destination)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UsageError(f"{destination} is not empty. Choose a new folder.")
    if not defaults and not sys.stdin.isatty():
        raise UsageError("there is nobody to ask. Add --defaults, and --data for your answers.")
    run_copy(
        template,
        destination,
        data=answers,
        defaults=defaults,
        unsafe=True,
        vcs_ref=f"v{version('lakebase-agent')}" if template == TEMPLATE else None,
    )


def to_answers(pairs: Sequence[str]) -> dict[str, Any]:
    """Return `["memory=[short_term]", …]` as answers; the values are YAML."""
    answers = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise UsageError(f"--data takes question=answer, not {pair!r}.")
        answers[key] = yaml.safe_load(value)
    return answers
