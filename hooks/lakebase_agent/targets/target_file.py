"""workspace.<target>.yml: the settings of one target, written by `link` and kept in git."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lakebase_agent.lakebase_variables import of_its_owner
from lakebase_agent.project.bundle import LAKEBASE_VARIABLES, target_path
from lakebase_agent.project.yaml_documents import dump_with_comments, load_with_comments

HEADER = "# Written by `lakebase-agent link`; belongs in git.\n"
# The first version with everything that `link --create` declares.
CLI_VERSION = ">= 1.7.0"


@dataclass(frozen=True)
class TargetSettings:
    """What is to stand in the file.

    `declared` are variables that this target alone has, and `resources` what the bundle creates for
    it, by kind and key.
    """

    host: str
    variables: Mapping[str, str]
    root_path: str = ""
    resources: Mapping[str, Any] = field(default_factory=dict)
    declared: Mapping[str, Any] = field(default_factory=dict)


def to_target(
    folder: Path, target: str, settings: TargetSettings, bundle: Mapping[str, Any]
) -> str:
    """Return the text of workspace.<target>.yml with `settings`.

    Variables that the bundle does not declare are left out, and those of another flavour of
    Lakebase removed. Without a bundle all are kept, for `link` and `doctor` to read.
    """
    path = target_path(folder, target)
    document = load_with_comments(path)
    _set(document, settings, target)
    values = document["targets"][target]["variables"]
    known = (bundle.get("variables") or {}) if bundle["bundle"] else settings.variables
    undeclared = {*LAKEBASE_VARIABLES, *settings.variables} - known.keys()
    for name in undeclared.union(of_its_owner(bundle)):
        values.pop(name, None)
    if not path.is_file():
        return HEADER + dump_with_comments(document)
    if document == load_with_comments(path):
        return path.read_text("utf-8")  # nothing new: not a byte changes
    return dump_with_comments(document)


def _set(document: Any, settings: TargetSettings, target: str) -> None:
    place = {"host": settings.host}
    if settings.root_path:
        place["root_path"] = settings.root_path
    section = {"workspace": place, "variables": dict(settings.variables)}
    if settings.resources.keys() - {"apps"}:
        _merge(document, {"bundle": {"databricks_cli_version": CLI_VERSION}})
    if settings.declared:
        _merge(document, {"variables": settings.declared})
    if settings.resources:
        section["resources"] = dict(settings.resources)
    _merge(document, {"targets": {target: section}})


def _merge(document: Any, addition: Mapping[str, Any]) -> None:
    """Set what `addition` holds; mappings keep what else is in them."""
    for key, value in addition.items():
        if isinstance(value, Mapping):
            if not isinstance(document.get(key), Mapping):
                document[key] = {}
            _merge(document[key], value)
        else:
            document[key] = value
