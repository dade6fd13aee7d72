"""A project's pyproject.toml: its own settings, and adding to it without touching the rest."""

import tomllib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array, StringType, Table

from lakebase_agent.errors import UsageError
from lakebase_agent.project.requirements import package_of, parse_requirement

HEADER = """
# Defaults of the agent's memory; an environment variable of the same name wins.
[tool.lakebase-agent]
"""


def read_settings(folder: Path) -> dict[str, str]:
    """Return the project's own settings, `[tool.lakebase-agent]`.

    Raises OSError if there is no pyproject.toml, ValueError if it is not valid.
    """
    document = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    table = document.get("tool", {}).get("lakebase-agent", {})
    return {name: str(value) for name, value in table.items()}


def read_version(folder: Path) -> str:
    """Return the project's own version; empty if it does not state one."""
    document = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    return str(document.get("project", {}).get("version", ""))


def add_dependencies(text: str, wanted: Sequence[str], replaceable: Sequence[str] = ()) -> str:
    """Return the text of a pyproject.toml with the requirements `wanted` that it lacks.

    The owner's bounds are kept: only requirements that are in `replaceable` are replaced. Raises
    UsageError if the dependencies can't be edited.
    """
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise UsageError(f"pyproject.toml is not TOML: {error}") from error
    listed = document["project"].get("dependencies")
    if not isinstance(listed, Array):
        raise UsageError("[project] of pyproject.toml has no list of dependencies")
    for requirement in wanted:
        _add_requirement(listed, requirement, replaceable)
    return tomlkit.dumps(document)


def _add_requirement(listed: Array, requirement: str, replaceable: Sequence[str]) -> None:
    packages = [package_of(item) if isinstance(item, str) else "" for item in listed]
    if package_of(requirement) not in packages:
        listed.append(requirement)
        return
    place = packages.index(package_of(requirement))
    own = listed[place]
    changed = requirement if own in replaceable else _with_extras(own, requirement)
    if changed != own:
        single_quoted = getattr(own, "_t", StringType.SLB) == StringType.SLL
        listed[place] = tomlkit.string(changed, literal=single_quoted and "'" not in changed)


def _with_extras(own: str, requirement: str) -> str:
    """Return the owner's requirement with the extras of another added."""
    old, new = parse_requirement(own), parse_requirement(requirement)
    if not old or not new:
        return own
    missing = [extra for extra in new.extras if extra not in old.extras]
    return f"{old.name}[{','.join(old.extras + missing)}]{old.rest}" if missing else own


def add_settings(text: str, settings: Mapping[str, Any]) -> str:
    """Return the text of a pyproject.toml with the `settings` that it lacks.

    They are items of tomlkit, whose comments come along.
    """
    document = tomlkit.parse(text)
    newline = "\r\n" if "\r\n" in text else "\n"
    table = document.get("tool", {}).get("lakebase-agent")
    if table is None:
        added = tomlkit.table()
        _add_items(added, settings, newline)
        heading = HEADER.replace("\n", newline)
        return text + ("" if text.endswith("\n") else newline) + heading + added.as_string()
    _add_items(table, {n: item for n, item in settings.items() if n not in table}, newline)
    return tomlkit.dumps(document)


def _add_items(table: Table, items: Mapping[str, Any], newline: str) -> None:
    for name, item in items.items():
        added = deepcopy(item)
        added.trivia.trail = newline
        table.append(name, added)
