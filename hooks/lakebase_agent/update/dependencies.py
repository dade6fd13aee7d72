"""Merging the dependencies in pyproject.toml package by package, where git merges lines.

It imports only the standard library, packaging and tomlkit, because `hooks/merge_dependencies.py`
runs it outside this package's environment.
"""

import copy
from collections.abc import Iterator
from typing import Any

import tomlkit
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from lakebase_agent.project.requirements import Requirement, parse_requirement
from lakebase_agent.update.text_merge import Labels, merge_texts

LABELS = Labels("before updating", "last update", "after updating")  # as in Copier's own conflicts


def merge_dependencies(base: str, ours: str, theirs: str) -> tuple[str, bool]:
    """Return the merged text of a pyproject.toml, and whether it has conflicts.

    Lists of dependencies are merged as sets of packages, everything else line by line. A list for
    which some package would have no version that meets all bounds is merged line by line, too.
    Raises ValueError if a text is not TOML, OSError if git is not installed.
    """
    documents = [tomlkit.parse(text) for text in (base, ours, theirs)]
    for table, key in _lists(documents[1]):
        merged = _merge_documents(documents, table, key)
        if merged is None:
            continue
        for document in documents:
            if key in document.get(table, {}):
                document[table][key] = merged
    base, ours, theirs = map(tomlkit.dumps, documents)
    return merge_texts(base, ours, theirs, LABELS)


def _lists(document: Any) -> Iterator[tuple[str, str]]:
    yield "project", "dependencies"
    for group in document.get("dependency-groups", {}):
        yield "dependency-groups", group


def _merge_documents(documents: list[Any], table: str, key: str) -> Any:
    """Return the merged list; None to merge it line by line."""
    base, ours, theirs = (document.get(table, {}).get(key) for document in documents)
    if ours is None or theirs is None:
        return None
    merged = copy.deepcopy(ours)
    _remove_packages(base or [], merged, theirs)
    _add_packages(base or [], merged, theirs)
    return merged if all(item in ours or _can_be_met(item) for item in merged) else None


def _remove_packages(base: Any, merged: Any, theirs: Any) -> None:
    """Remove what the template removed and the owner did not change."""
    old, kept = _by_package(base), _by_package(theirs)
    own = _by_package(merged)
    for package in old.keys() - kept.keys():
        if own.get(package) == old[package]:
            del merged[_packages(merged).index(package)]


def _add_packages(base: Any, merged: Any, theirs: Any) -> None:
    """Add what the template added, after its neighbour there, and merge what it changed."""
    old = _by_package(base)
    place = -1
    for package, item in _by_package(theirs).items():
        packages = _packages(merged)
        if package in packages:
            place = packages.index(package)
            if item not in (old.get(package), merged[place]):
                merged[place] = _merge_requirement(old.get(package, ""), merged[place], item)
        elif package not in old:
            place += 1
            merged.insert(place, item)


def _by_package(items: Any) -> dict[tuple[str, str], Any]:
    return {_package(item): item for item in items}


def _packages(items: Any) -> list[tuple[str, str]]:
    return [_package(item) for item in items]


def _package(item: Any) -> tuple[str, str]:
    """Return what identifies an entry of a list: its package and its marker."""
    requirement = _parse(item)
    return (requirement.package, requirement.marker) if requirement else (str(item), "")


def _parse(item: Any) -> Requirement | None:
    """Return a parsed requirement; None for URLs and for tables such as include-group."""
    requirement = parse_requirement(item) if isinstance(item, str) else None
    return None if requirement is None or requirement.is_address else requirement


def _merge_requirement(base: Any, ours: Any, theirs: Any) -> Any:
    """Return a requirement with the bounds and extras of both; otherwise the owner's."""
    if ours == base:
        return theirs
    own, new = _parse(ours), _parse(theirs)
    old = _parse(base) if base else Requirement("", [], "")
    if not (old and own and new):
        return ours
    extras = _merge_sets(old.extras, own.extras, new.extras)
    bounds = _merge_sets(old.bounds, own.bounds, new.bounds)
    text = new.name + (f"[{','.join(extras)}]" if extras else "") + ",".join(bounds)
    return f"{text}; {new.marker}" if new.marker else text


def _merge_sets(base: list[str], ours: list[str], theirs: list[str]) -> list[str]:
    kept = [item for item in theirs if item in ours or item not in base]
    return kept + [item for item in ours if item not in theirs and item not in base]


def _can_be_met(item: Any) -> bool:
    requirement = _parse(item)
    if not requirement:
        return True
    try:
        return not SpecifierSet(",".join(requirement.bounds)).is_unsatisfiable()
    except InvalidSpecifier:
        return True  # uv will report it
