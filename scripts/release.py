"""Release a version: `uv run poe release 0.2.0`. The version has one place, pyproject.toml.

Moves what CHANGELOG.md has under Unreleased to the version, commits and tags. Publishes nothing.
"""

import subprocess
import sys
from datetime import date
from pathlib import Path

import tomlkit
from packaging.version import InvalidVersion, Version

UNRELEASED = "## Unreleased\n"


class RefusalError(Exception):
    """The release can't be made; the text says why."""


def main(wanted: str) -> None:
    """Release in the current folder; raises RefusalError before anything is written."""
    version = _version(wanted)
    if changes := _git("status", "--porcelain"):
        raise RefusalError(f"commit or stash your changes first:\n{changes}")
    project = Path("pyproject.toml")
    document = tomlkit.parse(project.read_text("utf-8"))
    _check_order(version, Version(str(document["project"]["version"])))
    changelog = Path("CHANGELOG.md")
    text = _to_changelog(changelog.read_text("utf-8"), version)
    document["project"]["version"] = str(version)
    project.write_text(tomlkit.dumps(document), "utf-8")
    changelog.write_text(text, "utf-8")
    try:
        _git("commit", "--quiet", "--all", "--message", f"chore(release): v{version}")
        _git("tag", f"v{version}")
    except RefusalError:
        _git("checkout", "HEAD", "--", ".")
        raise
    print(f"v{version} is committed and tagged. To publish it:")
    print(f"    git push --atomic origin HEAD v{version}")


def _version(wanted: str) -> Version:
    try:
        return Version(wanted.removeprefix("v"))
    except InvalidVersion as error:
        raise RefusalError(f"{wanted!r} is not a version, such as 0.2.0") from error


def _check_order(version: Version, current: Version) -> None:
    tags = _git("tag", "--list", "v*").split()
    if f"v{version}" in tags:
        raise RefusalError(f"v{version} is released already")
    if version < current:
        raise RefusalError(f"{version} is earlier than {current}, which pyproject.toml has")


def _to_changelog(text: str, version: Version) -> str:
    before, heading, rest = text.partition(UNRELEASED)
    entries, *_ = rest.split("\n## ", 1)
    if not heading or "\n- " not in entries:
        raise RefusalError("CHANGELOG.md has no entry under Unreleased")
    return f"{before}{UNRELEASED}\n## {version} - {date.today():%Y-%m-%d}\n{rest}"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RefusalError(done.stderr.strip() or f"git {arguments[0]} failed")
    return done.stdout.strip()


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: uv run poe release VERSION, for example 0.2.0")
    try:
        main(sys.argv[1])
    except RefusalError as refusal:
        sys.exit(f"not released: {refusal}")
