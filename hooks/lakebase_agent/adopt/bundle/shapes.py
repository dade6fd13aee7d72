"""What the parts of a bundle must be, for `adopt` to read them and add to them."""

from collections.abc import Iterator, Mapping
from typing import Any

from lakebase_agent.errors import UsageError

KINDS: dict[type, str] = {dict: "a mapping", list: "a list"}
WRONG = "{file}: {path} is {value}, not {kind}: write it out there, and run this command again"


def check_bundle(file: str, document: Mapping[str, Any]) -> None:
    """Raise UsageError if a part of a bundle, or of a file that it includes, is of another kind."""
    _check(file, _parts(document))


def check_environment(file: str, document: Mapping[str, Any]) -> None:
    """Raise UsageError if the environment of an app.yaml is not a list of mappings."""
    _check(file, _environment(document, ""))


def _check(file: str, parts: Iterator[tuple[str, Any, type]]) -> None:
    for path, value, kind in parts:
        if not isinstance(value, kind):
            shown = repr(value) if isinstance(value, str) else KINDS.get(type(value), "a value")
            raise UsageError(WRONG.format(file=file, path=path, value=shown, kind=KINDS[kind]))


def _parts(document: Mapping[str, Any]) -> Iterator[tuple[str, Any, type]]:
    """Yield each part with its path and its kind, what holds it first; an empty one is none."""
    yield from _given(document, "", {"include": list, "variables": dict, "targets": dict})
    yield from _given(document.get("variables"), "variables.", dict)
    yield from _resources(document, "")
    yield from _given(document.get("targets"), "targets.", dict)
    for name, target in (document.get("targets") or {}).items():
        yield from _resources(target or {}, f"targets.{name}.")


def _resources(section: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any, type]]:
    yield from _given(section, before, {"resources": dict})
    resources = section.get("resources") or {}
    yield from _given(resources, f"{before}resources.", {"apps": dict})
    apps = resources.get("apps") or {}
    yield from _given(apps, f"{before}resources.apps.", dict)
    for key, app in apps.items():
        path = f"{before}resources.apps.{key}."
        yield from _given(app, path, {"config": dict, "resources": list})
        yield from _environment((app or {}).get("config"), f"{path}config.")


def _environment(section: Any, before: str) -> Iterator[tuple[str, Any, type]]:
    """Yield the environment of an app, and its entries."""
    yield from _given(section, before, {"env": list})
    for number, entry in enumerate((section or {}).get("env") or []):
        yield f"{before}env[{number}]", entry, dict


def _given(
    section: Mapping[str, Any] | None, before: str, kinds: Mapping[str, type] | type
) -> Iterator[tuple[str, Any, type]]:
    """Yield what a section holds and is not empty: the keys with kinds, or all of one kind."""
    for name, value in (section or {}).items():
        kind = kinds if isinstance(kinds, type) else kinds.get(str(name))
        if kind and value is not None:
            yield f"{before}{name}", value, kind
