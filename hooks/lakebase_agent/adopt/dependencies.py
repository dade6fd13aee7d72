"""Where a project lists its dependencies: in pyproject.toml, or how they get there."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakebase_agent.errors import UsageError

POETRY = """\
its dependencies are in [tool.poetry], which adopt does not edit. Move them to [project]:
    uvx migrate-to-uv
then commit, and run this command again"""
REQUIREMENTS = """\
its dependencies are in {name}, which adopt does not edit. Move them to pyproject.toml:
{first}uv add -r {name}
then commit, and run this command again"""
SETTINGS_ONLY = """\
    (give pyproject.toml a [project] with a name, a version and requires-python)
    """
DYNAMIC = """\
    (take "dependencies" out of its `dynamic`)
    """


def read_pyproject(folder: Path) -> Mapping[str, Any]:
    """Return a pyproject.toml that lists dependencies.

    Raises UsageError, with what to do by hand, if there is none, or they are listed elsewhere.
    """
    path = folder / "pyproject.toml"
    try:
        document = tomllib.loads(path.read_text("utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    if "dependencies" in document.get("project", {}):
        if not all(isinstance(item, str) for item in document["project"]["dependencies"]):
            raise UsageError(f"{path}: [project] lists dependencies that are not text")
        return document
    if "poetry" in document.get("tool", {}):
        raise UsageError(f"{folder} can't be adopted: {POETRY}")
    if files := sorted(path.name for path in folder.glob("requirements*.txt")):
        name = "requirements.txt" if "requirements.txt" in files else files[0]
        text = REQUIREMENTS.format(name=name, first=_first_step(path, document))
        raise UsageError(f"{folder} can't be adopted: {text}")
    raise UsageError(f"{folder} can't be adopted: no pyproject.toml lists its dependencies")


def _first_step(path: Path, document: Mapping[str, Any]) -> str:
    """Return what comes before `uv add`: uv makes no pyproject.toml where there is one."""
    if not path.is_file():
        return "    uv init --bare && "
    project = document.get("project", {})
    if not project:
        return SETTINGS_ONLY
    return DYNAMIC if "dependencies" in project.get("dynamic", []) else "    "
