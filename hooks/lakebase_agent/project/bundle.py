"""A project's bundle: databricks.yml, and the values of each target in workspace.<target>.yml."""

import fnmatch
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lakebase_agent.errors import UsageError
from lakebase_agent.project.answers import read_adopted
from lakebase_agent.project.bundle_shapes import check_bundle
from lakebase_agent.project.yaml_documents import load_with_comments, read_first_document

DEV = "dev"  # the target of development, and the default one
# Variables that `link` sets. A bundle declares those of its own flavour of Lakebase only, and the
# Databricks CLI rejects a value for a variable that is not declared.
TARGET_FILES = "workspace.*.yml"
LAKEBASE_VARIABLES = ("lakebase_branch", "lakebase_database", "lakebase_instance")


def read_bundle(folder: Path) -> dict[str, Any]:
    """Return databricks.yml with the files that it includes, but for workspace.<target>.yml.

    Raises UsageError as `read_main_file` does, and if a file that it includes is not valid.
    """
    bundle = read_main_file(folder)
    for path in included_files(folder, bundle):
        if not fnmatch.fnmatch(path.name, TARGET_FILES):
            part = read_first_document(path)
            check_bundle(path.name, part)
            bundle = _merged(bundle, part)
    return bundle


def read_main_file(folder: Path) -> dict[str, Any]:
    """Return databricks.yml; an adopted project may have none, which is an empty bundle.

    Raises UsageError if it is missing from a generated project, or not a bundle.
    """
    path = folder / "databricks.yml"
    if not path.is_file() and read_adopted(folder):
        return {"bundle": {}}
    bundle = read_first_document(path) if path.is_file() else {}
    if "bundle" not in bundle:
        raise UsageError(f"{path} is missing, or not a bundle")
    check_bundle(path.name, bundle)
    return bundle


def included_files(folder: Path, bundle: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the files that databricks.yml includes; raises UsageError if they are elsewhere."""
    for pattern in map(str, bundle.get("include") or []):
        if Path(pattern).is_absolute():
            raise UsageError(f"databricks.yml includes {pattern}: give it as a relative path")
        yield from sorted(path for path in folder.glob(pattern) if path.is_file())


def _merged(old: Any, new: Any) -> Any:
    """Return two parts of a bundle as one: lists are joined, and what is in `new` overrides."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}
    if isinstance(old, list) and isinstance(new, list):
        return old + new
    return new


def app_settings(bundle: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the settings of the bundle's app; empty if it has none."""
    apps: Mapping[str, Any] = (bundle.get("resources") or {}).get("apps") or {}
    return next(iter(apps.values()), None) or {}


def app_key(bundle: Mapping[str, Any]) -> str:
    """Return the key of the bundle's app; empty if it has none."""
    return str(next(iter((bundle.get("resources") or {}).get("apps") or {}), ""))


def target_path(folder: Path, target: str) -> Path:
    """Return the file with the values of one target."""
    return folder / f"workspace.{target}.yml"


def read_target(folder: Path, target: str) -> dict[str, str]:
    """Return the variables in workspace.<target>.yml; empty if there is no such file."""
    values: dict[str, str] = _target_section(folder, target).get("variables") or {}
    return values


def read_host(folder: Path, target: str) -> str:
    """Return the address of the workspace in workspace.<target>.yml; empty if it names none."""
    return str((_target_section(folder, target).get("workspace") or {}).get("host", ""))


def _target_section(folder: Path, target: str) -> Any:
    document = load_with_comments(target_path(folder, target))
    check_bundle(target_path(folder, target).name, document)
    return (document.get("targets") or {}).get(target) or {}
