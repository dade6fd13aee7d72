# /// script
# requires-python = ">=3.11"
# dependencies = ["packaging>=26.1,<27", "tomlkit>=0.13.3,<1"]
# ///
"""What Copier runs after an update: merge the dependencies in pyproject.toml package by package.

git merges lines, so a package that the owner added beside a bound that the template raised is a
conflict for it. Copier leaves the three versions of a file with conflicts in git's index; they are
merged again from there. If conflicts remain, git's markers stay.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

FILE = "pyproject.toml"


def main() -> None:
    """Merge pyproject.toml if git could not.

    Runs itself with uv if this Python lacks the packages that it needs. Raises OSError,
    CalledProcessError, and ValueError if a version of the file is not valid.
    """
    if not _git("ls-files", "--unmerged", "--", FILE):
        return
    if _has_packages():
        _merge()
    elif uv := os.environ.get("UV") or shutil.which("uv"):
        subprocess.run([uv, "run", "--quiet", "--no-project", "--script", __file__], check=True)
    else:
        raise OSError("this needs uv, which is not installed")


def _has_packages() -> bool:
    if not all(map(importlib.util.find_spec, ("packaging", "tomlkit"))):
        return False
    from packaging.specifiers import SpecifierSet

    return hasattr(SpecifierSet, "is_unsatisfiable")  # since 26.1


def _merge() -> None:
    # This script's own folder is on the path, whoever runs it.
    from lakebase_agent.update.dependencies import merge_dependencies

    base, ours, theirs = (_git("show", f":{stage}:./{FILE}") for stage in (1, 2, 3))
    merged, conflicts = merge_dependencies(base, ours, theirs)
    Path(FILE).write_text(merged, "utf-8", newline="\n")
    if not conflicts:
        _git("reset", "--quiet", "--", FILE)


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout


if __name__ == "__main__":
    try:
        main()
    except (subprocess.CalledProcessError, OSError, ValueError) as error:
        print(f"{FILE} was not merged by package, git's conflicts are still in it: {error!s:.200}")
        sys.exit(0)
