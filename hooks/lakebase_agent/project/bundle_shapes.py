"""What the parts of a bundle must be, to be read, and for `adopt` to add to them."""

from collections.abc import Iterator, Mapping
from typing import Any

from lakebase_agent.errors import UsageError

KINDS: dict[type, str] = {dict: "a mapping", list: "a list", str: "text"}
WRONG = "{file}: {path} is {value}, not {kind}: write it out there, and run this command again"


def check_bundle(file: str, document: Mapping[str, Any]) -> None:
    """Raise UsageError if a part of a bundle, or of a file that it includes, is of another kind."""
    _check(file, _parts(document))


def check_apps(file: str, document: Mapping[str, Any]) -> None:
    """Raise UsageError if the apps of a bundle have what can't be added to, such as a variable."""
    for _, before, apps in _apps(document):
        for key, app in apps.items():
            path = f"{before}.{key}."
            _check(file, _given(app, path, {"config": dict, "resources": list}))
            _check(file, _environment((app or {}).get("config"), f"{path}config."))


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
    kinds = {"bundle": dict, "include": list, "variables": dict, "targets": dict}
    yield from _given(document, "", kinds)
    yield from ((f"include[{n}]", v, str) for n, v in enumerate(document.get("include") or []))
    yield from _given(document.get("variables"), "variables.", dict)
    yield from _given(document.get("targets"), "targets.", dict)
    for name, target in (document.get("targets") or {}).items():
        yield from _given(target, f"targets.{name}.", {"variables": dict, "workspace": dict})
    for section, before, _ in _apps(document):
        yield from _given(section, before.removesuffix("resources.apps"), {"resources": dict})
        resources = section.get("resources")
        yield from _given(resources, before.removesuffix("apps"), {"apps": dict})
        yield from _given((resources or {}).get("apps"), f"{before}.", dict)


def _apps(document: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str, Any]]:
    """Yield the bundle and its targets, each with the path of its apps, and these."""
    sections = {"": document}
    sections |= {f"targets.{n}.": t or {} for n, t in (document.get("targets") or {}).items()}
    for before, section in sections.items():
        resources = section.get("resources") or {}
        apps = resources.get("apps") if isinstance(resources, Mapping) else None
        yield section, f"{before}resources.apps", apps or {}


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
