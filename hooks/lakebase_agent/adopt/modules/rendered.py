"""The files that adoption adds to a project, taken from a rendering of the template."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit

from lakebase_agent.adopt.modules.needed import (
    needed_modules,
    needed_requirements,
    needed_settings,
)
from lakebase_agent.adopt.modules.relocation import PACKAGE, new_path, relocate
from lakebase_agent.adopt.place import SCRIPT, Place
from lakebase_agent.project.answers import read_answers
from lakebase_agent.template import render

DOCSTRING = (
    "The agent's memory in Lakebase: written by `lakebase-agent adopt`, and yours to change."
)


@dataclass(frozen=True)
class Rendered:
    """What one version of the template gives: modules by their path, and what they need.

    The `settings` are items of tomlkit, with their comments.
    """

    version: str
    files: dict[str, str]
    answers: dict[str, Any]
    requirements: list[str]
    settings: dict[str, Any]
    env_example: str


def render_modules(source: str, version: str, answers: Mapping[str, Any], place: Place) -> Rendered:
    """Render the template with `answers`, and take what an adopted agent needs.

    Raises SourceError if the template can't be fetched, and what Copier raises for answers that
    don't work.
    """
    with tempfile.TemporaryDirectory(prefix="lakebase-agent-") as name:
        folder = Path(name) / "rendered"
        given = {**answers, "adopted": True}
        render(source, folder, version, given, skip_tasks=True, quiet=True)
        return _take(folder, place)


def _take(folder: Path, place: Place) -> Rendered:
    answers = read_answers(folder)
    files = _take_files(folder, place, "long_term" in answers["memory"])
    document = tomlkit.parse((folder / "pyproject.toml").read_text("utf-8"))
    project, tool = document["project"], document["tool"]
    return Rendered(
        str(answers.get("_commit", "")),
        files,
        dict(answers),
        list(needed_requirements(files.values(), project["dependencies"])),
        needed_settings(files.values(), tool["lakebase-agent"]),
        _env_example((folder / ".env.example").read_text("utf-8")),
    )


def _take_files(folder: Path, place: Place, long_term: bool) -> dict[str, str]:
    """Return the modules and the grant script, for their new place."""
    wanted = [f"{PACKAGE}.turn", *([f"{PACKAGE}.memory"] if long_term else [])]
    files = {}
    for path in [*sorted(needed_modules(folder, wanted)), SCRIPT]:
        text = (folder / path).read_text("utf-8")
        files[new_path(path, place)] = relocate(path, text, place)
    return {**files, f"{place.folder}/__init__.py": f'"""{DOCSTRING}"""\n'}


def _env_example(text: str) -> str:
    """Return the paragraphs that are about Lakebase, Postgres and embeddings."""
    about = ("LAKEBASE", "DATABASE_URL", "EMBEDDING")
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(p for p in paragraphs if any(name in p for name in about))
