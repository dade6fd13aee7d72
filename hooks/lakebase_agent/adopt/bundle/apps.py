"""The apps that a bundle declares: in databricks.yml, in its other files, or for a target alone."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakebase_agent.project.bundle import included_files
from lakebase_agent.project.bundle_shapes import check_apps, check_bundle
from lakebase_agent.project.yaml_documents import read_first_document

VARIABLE = re.compile(r"\$\{var\.(\w+)\}")


@dataclass(frozen=True)
class App:
    """An app of the bundle; `file` is the one that declares it.

    `targets` are those that declare it, if it is in none of the resources of all targets.
    """

    file: str
    key: str
    settings: Mapping[str, Any]
    targets: tuple[str, ...] = ()

    @property
    def has_config(self) -> bool:
        """Whether the bundle says how it starts, and not app.yaml."""
        return bool(self.settings.get("config"))

    def place(self, addition: Mapping[str, Any]) -> dict[str, Any]:
        """Return an addition to the app as one to its file."""
        resources = {"resources": {"apps": {self.key: addition}}}
        if not self.targets:
            return resources
        return {"targets": {target: resources for target in self.targets}}


def apps_of(folder: Path, bundle: Mapping[str, Any]) -> Iterator[App]:
    """Yield the apps of a bundle; raises UsageError if a file that it includes is not valid."""
    files = {"databricks.yml": _checked("databricks.yml", bundle)}
    for path in included_files(folder, bundle):
        name = path.relative_to(folder).as_posix()
        files[name] = _checked(name, read_first_document(path))
    found = [App(name, key, s) for name, part in files.items() for key, s in _apps(part)]
    yield from found
    known = {app.key for app in found}
    for name, document in files.items():
        yield from _apps_of_targets(name, document, known)


def _checked(name: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    check_bundle(name, document)
    check_apps(name, document)
    return document


def _apps(part: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, settings in ((part.get("resources") or {}).get("apps") or {}).items():
        yield str(key), settings or {}


def _apps_of_targets(name: str, document: Mapping[str, Any], known: set[str]) -> Iterator[App]:
    """Yield the apps that are declared for some targets alone, each with the settings of one."""
    found: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for target, section in (document.get("targets") or {}).items():
        for key, settings in _apps(section or {}):
            if key not in known:
                found.setdefault(key, []).append((str(target), settings))
    for key, declared in found.items():
        whole = max(declared, key=lambda item: len(item[1]))[1]
        yield App(name, key, whole, tuple(target for target, _ in declared))


def resolved(value: object, bundle: Mapping[str, Any]) -> str:
    """Return a value of a bundle with the defaults of its variables; empty if one has none."""
    text = str(value or "")
    for name in VARIABLE.findall(text):
        default = ((bundle.get("variables") or {}).get(name) or {}).get("default")
        text = text.replace(f"${{var.{name}}}", str(default)) if default else ""
    return "" if "${" in text else text
