"""The lines that adoption adds to files of the owner: dependencies, the bundle, the environment."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array, StringType

from lakebase_agent.errors import UsageError

REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*)\s*(?:\[([^]]*)\])?(.*)", re.DOTALL)
HEADER = """
# Defaults of the agent's memory; an environment variable of the same name wins.
[tool.lakebase-agent]
"""


def add_dependencies(text: str, wanted: Sequence[str], before: Sequence[str] = ()) -> str:
    """Return the text of a pyproject.toml with what is missing of the requirements `wanted`.

    The owner's bounds stay: only what an earlier adoption added, one of `before`, is replaced.
    Raises UsageError when its dependencies can't be edited.
    """
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise UsageError(f"pyproject.toml is not TOML: {error}") from error
    listed = document["project"].get("dependencies")
    if not isinstance(listed, Array):
        raise UsageError("[project] of pyproject.toml has no list of dependencies")
    for requirement in wanted:
        _add_requirement(listed, requirement, before)
    return tomlkit.dumps(document)


def add_settings(text: str, settings: Mapping[str, str | int]) -> str:
    """Return the text of a pyproject.toml with `[tool.lakebase-agent]`; what it has stays."""
    document = tomlkit.parse(text)
    table = document.get("tool", {}).get("lakebase-agent")
    if table is None:
        newline = "\r\n" if "\r\n" in text else "\n"
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in settings.items()]
        added = (HEADER + "".join(lines)).replace("\n", newline)
        return text + ("" if text.endswith("\n") else newline) + added
    for name, value in settings.items():
        table.setdefault(name, value)
    return tomlkit.dumps(document)


def missing_resources(
    settings: Mapping[str, Any], resources: Mapping[str, Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return what an app lacks of `resources`, and what each is called in it.

    One that is there under another name is used; where another has the name, a new one is found.
    """
    there = [item for item in settings.get("resources") or [] if isinstance(item, dict)]
    taken = {str(item.get("name")) for item in there}
    new, called = [], {}
    for name, content in resources.items():
        held = _held(there, content)
        called[name] = held or _free(name, taken)
        if not held:
            new.append({"name": called[name], **content})
    return new, called


def env_entries(
    there: Sequence[Mapping[str, Any]], env: Mapping[str, str], called: Mapping[str, str], key: str
) -> list[dict[str, Any]]:
    """Return the entries of `env` that an app does not have.

    A value `<-name` is that of a resource, whose name in the app is in `called`; `key` says so.
    """
    names = {str(entry.get("name")) for entry in there}
    missing = {name: value for name, value in env.items() if name not in names}
    return [
        {"name": name, key: called.get(value[2:], value[2:])}
        if value.startswith("<-")
        else {"name": name, "value": value}
        for name, value in missing.items()
    ]


def add_env_lines(text: str, block: str) -> str:
    """Return the text of a .env or its example with the paragraphs of `block` that it lacks.

    A paragraph is there when one of its variables is, set or as a comment.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    for paragraph in block.strip("\n").split("\n\n"):
        names = re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", paragraph, re.MULTILINE)
        if not any(
            re.search(rf"^[#\s]*(export\s+)?{name}\s*=", text, re.MULTILINE) for name in names
        ):
            end = "" if not text or text.endswith("\n") else newline
            gap = newline if text else ""
            text += end + gap + f"{paragraph}\n".replace("\n", newline)
    return text


def _add_requirement(listed: Array, requirement: str, before: Sequence[str]) -> None:
    for place, held in enumerate(listed):
        if not isinstance(held, str) or _name(held) != _name(requirement):
            continue
        changed = requirement if held in before else _with_extras(held, requirement)
        if changed != held:
            single = getattr(held, "_t", StringType.SLB) == StringType.SLL
            listed[place] = tomlkit.string(changed, literal=single and "'" not in changed)
        return
    listed.append(requirement)


def _with_extras(held: str, requirement: str) -> str:
    old, new = REQUIREMENT.match(held), REQUIREMENT.match(requirement)
    if not old or not new:
        return held
    extras = [part.strip() for part in (old[2] or "").split(",") if part.strip()]
    more = [part for part in (new[2] or "").split(",") if part and part not in extras]
    return f"{old[1]}[{','.join(extras + more)}]{old[3]}" if more else held


def _name(requirement: str) -> str:
    found = REQUIREMENT.match(requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""


def _held(there: Sequence[Mapping[str, Any]], content: Mapping[str, Any]) -> str:
    """Return the name of a resource that already gives the same; for Lakebase any of its kind."""
    for item in there:
        for kind, value in content.items():
            same = kind in item and (kind != "serving_endpoint" or _target(item) == value["name"])
            if same:
                return str(item.get("name"))
    return ""


def _target(item: Mapping[str, Any]) -> str:
    return str((item.get("serving_endpoint") or {}).get("name"))


def _free(name: str, taken: set[str]) -> str:
    names = [name, f"lakebase-{name}", *(f"{name}-{number}" for number in range(2, 100))]
    return next(candidate for candidate in names if candidate not in taken)
