"""The files of a project that `link` reads and writes; every other line of them is kept."""

import io
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lakebase_agent.errors import UsageError
from lakebase_agent.project.yaml_lines import read_first_document

ANSWERS = ".copier-answers.yml"
# Variables that `link` sets, and that another flavour of Lakebase does not declare: the Databricks
# CLI refuses a value for a variable that is not declared.
FLAVOURED = ("lakebase_branch", "lakebase_database", "lakebase_instance")
ADOPTED = ".lakebase-agent.yml"


def read_answers(folder: Path) -> dict[str, Any]:
    """Return the answers a project was generated or adopted with; raises UsageError for others."""
    if adopted := read_adopted(folder):
        return adopted
    path = folder / ANSWERS
    if not path.is_file():
        raise UsageError(f"{folder} is not a generated project: it has no {ANSWERS}")
    answers: dict[str, Any] = _load(path)
    if "app_name" not in answers:
        raise UsageError(f"{path} does not name the app; was it edited by hand?")
    return answers


def read_adopted(folder: Path) -> dict[str, Any]:
    """Return what `lakebase-agent adopt` noted about a project; empty when it has not been here."""
    path = folder / ADOPTED
    return read_first_document(path) if path.is_file() else {}


def read_bundle(folder: Path) -> dict[str, Any]:
    """Return databricks.yml; an adopted project may have none, which is an empty bundle."""
    path = folder / "databricks.yml"
    if not path.is_file() and read_adopted(folder):
        return {"bundle": {}}
    bundle = read_first_document(path) if path.is_file() else {}
    if "bundle" not in bundle:
        raise UsageError(f"{path} is not there, or not a bundle")
    return bundle


def read_defaults(folder: Path) -> dict[str, str]:
    """Return the project's own settings, `[tool.lakebase-agent]` of its pyproject.toml."""
    document = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    table = document.get("tool", {}).get("lakebase-agent", {})
    return {name: str(value) for name, value in table.items()}


def read_target(folder: Path, target: str) -> dict[str, str]:
    """Return the variables of workspace.<target>.yml; empty when there is no such file."""
    document = _load(target_path(folder, target))
    values: dict[str, str] = document.get("targets", {}).get(target, {}).get("variables", {})
    return values


def read_host(folder: Path, target: str) -> str:
    """Return the workspace that workspace.<target>.yml names; empty when it names none."""
    document = _load(target_path(folder, target))
    return str(document.get("targets", {}).get(target, {}).get("workspace", {}).get("host", ""))


def read_env(folder: Path) -> dict[str, str]:
    """Return what .env sets; empty when there is none."""
    path = folder / ".env"
    text = path.read_text("utf-8") if path.is_file() else ""
    pairs = re.findall(r"^\s*(?:export\s+)?(\w+)\s*=\s*(.*?)\s*$", text, re.MULTILINE)
    return {name: value.strip("\"'") for name, value in pairs}


def target_path(folder: Path, target: str) -> Path:
    """Return where the values of one target are kept."""
    return folder / f"workspace.{target}.yml"


def to_target(
    folder: Path, target: str, host: str, variables: Mapping[str, str], bundle: Mapping[str, Any]
) -> str:
    """Return the text of workspace.<target>.yml with `host` and `variables` set.

    A variable that the bundle does not declare is left out, what is left of another flavour of
    Lakebase is removed; without a bundle the file is notes for `link` and `doctor`.
    """
    path = target_path(folder, target)
    document = _load(path)
    section = document.setdefault("targets", {}).setdefault(target, {})
    section.setdefault("workspace", {})["host"] = host
    values = section.setdefault("variables", {})
    values.update(variables)
    declared = (bundle.get("variables") or {}).keys()
    for name in {*FLAVOURED, *variables} - (declared if bundle["bundle"] else variables.keys()):
        values.pop(name, None)
    if path.is_file() and document == _load(path):
        return path.read_text("utf-8")  # nothing new: not a byte changes
    text = io.StringIO()
    _yaml().dump(document, text)
    if path.is_file():
        return text.getvalue()
    return "# Written by `lakebase-agent link`; belongs in git.\n" + text.getvalue()


def to_env(text: str, variables: Mapping[str, str | None]) -> str:
    """Return the text of a .env with `variables` set, those that are None removed."""
    lines = text.splitlines()
    for name, value in variables.items():
        setting = re.compile(rf"\s*(export\s+)?{name}\s*=")
        places = [index for index, line in enumerate(lines) if setting.match(line)]
        if value is None or len(places) > 1:
            lines = [line for index, line in enumerate(lines) if index not in places[:-1]]
            places = [index for index, line in enumerate(lines) if setting.match(line)]
        if value is None:
            lines = [line for index, line in enumerate(lines) if index not in places]
        elif places:
            lines[places[0]] = f"{name}={value}"
        else:
            lines.append(f"{name}={value}")
    return "".join(f"{line}\n" for line in lines)


def write_all(contents: Mapping[Path, tuple[str, int]]) -> list[Path]:
    """Write texts with their modes, each whole or not at all; return the files that changed."""
    changed = []
    for path, (text, mode) in contents.items():
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        with os.fdopen(number, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(name, mode)
        os.replace(name, path)
        changed.append(path)
    return changed


def _load(path: Path) -> Any:
    try:
        document = _yaml().load(path.read_text("utf-8")) if path.is_file() else None
    except (YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if document is not None and not hasattr(document, "setdefault"):
        raise UsageError(f"{path} does not hold a mapping")
    return document if document is not None else {}


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
