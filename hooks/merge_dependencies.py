# /// script
# requires-python = ">=3.11"
# dependencies = ["packaging>=26.1,<27", "tomlkit>=0.13.3,<1"]
# ///
"""What Copier runs after an update: merge the dependencies in pyproject.toml as sets.

git merges lines, so a package that the owner added beside a bound that the template raised is a
conflict to it. Copier leaves the three versions of a file with conflicts in the index; they are
merged again, package by package. Where that is not enough, or no version would meet what both ask
for, git's conflict stays.
"""

import copy
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILE = "pyproject.toml"
LABELS = ("before updating", "last update", "after updating")
REQUIREMENT = re.compile(r"\s*([\w.-]+)\s*(?:\[([^]]*)\])?\s*([^;@]*)(?:;\s*(.*))?")


def main() -> None:
    """Merge, if git could not; run by uv where this Python lacks what that needs."""
    if not _git("ls-files", "--unmerged", "--", FILE):
        return
    if _equipped():
        ours, base, theirs = (_git("show", f":{stage}:./{FILE}") for stage in (2, 1, 3))
        merged, conflicts = merge(base, ours, theirs)
        Path(FILE).write_text(merged, "utf-8", newline="\n")
        if not conflicts:
            _git("reset", "--quiet", "--", FILE)
    elif uv := os.environ.get("UV") or shutil.which("uv"):
        subprocess.run([uv, "run", "--quiet", "--no-project", "--script", __file__], check=True)
    else:
        raise OSError("that needs uv, which is not installed")


def _equipped() -> bool:
    if not all(map(importlib.util.find_spec, ("packaging", "tomlkit"))):
        return False
    from packaging.specifiers import SpecifierSet

    return hasattr(SpecifierSet, "is_unsatisfiable")  # since 26.1


def merge(base: str, ours: str, theirs: str) -> tuple[str, bool]:
    """Return the merged text, and whether conflicts are in it."""
    import tomlkit

    documents = [tomlkit.parse(text) for text in (base, ours, theirs)]
    for table, key in _lists(documents[1]):
        old, own, new = (document.get(table, {}).get(key) for document in documents)
        if own is None or new is None:
            continue
        merged = copy.deepcopy(own)
        _merge_list(old or [], merged, new)
        if not all(item in own or _can_be_met(item) for item in merged):
            continue
        for document in documents:
            if key in document.get(table, {}):
                document[table][key] = merged
    return _merge_lines(*map(tomlkit.dumps, documents))


def _lists(document: Any) -> Iterator[tuple[str, str]]:
    yield "project", "dependencies"
    for group in document.get("dependency-groups", {}):
        yield "dependency-groups", group


def _merge_list(base: Any, ours: Any, theirs: Any) -> None:
    """Do to `ours` what the template did between `base` and `theirs`."""
    old, own, new = ({_key(item): item for item in items} for items in (base, ours, theirs))
    for key in old.keys() - new.keys():
        if own.get(key) == old[key]:
            del ours[[_key(item) for item in ours].index(key)]
    place = -1
    for key, item in new.items():
        places = [_key(item) for item in ours]
        if key in places:
            place = places.index(key)
            if item != old.get(key) and ours[place] != item:
                ours[place] = _merge_requirement(old.get(key, ""), ours[place], item)
        elif key not in old:
            place += 1
            ours.insert(place, item)


def _key(item: Any) -> tuple[str, str]:
    """Return what makes two entries the same one: the package and its marker."""
    match = REQUIREMENT.fullmatch(item) if isinstance(item, str) else None
    if not match:
        return str(item), ""
    return re.sub(r"[-_.]+", "-", match[1]).lower(), match[4] or ""


def _merge_requirement(base: Any, ours: Any, theirs: Any) -> Any:
    """Return a package with the bounds and extras of both; what is not a string is the owner's."""
    if ours == base:
        return theirs
    parts = [REQUIREMENT.fullmatch(item) for item in (base or "x", ours, theirs)]
    if not all(parts):
        return ours
    name, _, _, marker = parts[2].groups()  # type: ignore[union-attr]
    extras, bounds = (_merge_set(*(_split(part[n]) for part in parts if part)) for n in (2, 3))
    text = name + (f"[{','.join(extras)}]" if extras else "") + ",".join(bounds)
    return f"{text}; {marker}" if marker else text


def _can_be_met(requirement: Any) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    match = REQUIREMENT.fullmatch(requirement) if isinstance(requirement, str) else None
    try:
        return not (match and SpecifierSet(match[3]).is_unsatisfiable())
    except InvalidSpecifier:
        return True  # an address, or what uv will name


def _merge_set(base: list[str], ours: list[str], theirs: list[str]) -> list[str]:
    kept = [item for item in theirs if item in ours or item not in base]
    return kept + [item for item in ours if item not in theirs and item not in base]


def _split(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _merge_lines(base: str, ours: str, theirs: str) -> tuple[str, bool]:
    labels = [word for label in LABELS for word in ("-L", label)]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("ours", "base", "theirs")]
        for path, text in zip(paths, (ours, base, theirs), strict=True):
            path.write_text(text, "utf-8", newline="\n")
        command = ["git", "merge-file", "-p", *labels, *map(str, paths)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    return done.stdout, done.returncode != 0


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout


if __name__ == "__main__":
    try:
        main()
    except (subprocess.CalledProcessError, OSError, ValueError) as error:
        print(f"Could not merge {FILE} by packages; git's conflict is in it ({error!s:.200}).")
        sys.exit(0)
