"""Calling git."""

import subprocess
from pathlib import Path

# A user's own settings may leave out or change the prefixes of a diff, which `git apply` needs.
SETTINGS = ("diff.noprefix", "diff.mnemonicPrefix", "diff.relative")
PLAIN = [part for name in SETTINGS for part in ("-c", f"{name}=false")]


class GitError(Exception):
    """A git command failed; the text is what it said."""


def git(folder: Path, *arguments: str, given: str = "") -> str:
    """Return what a git command prints in `folder`, fed with `given`; raises GitError.

    Not a byte is lost in either direction: what is not UTF-8 becomes surrogates.
    """
    command = ["git", *PLAIN, *arguments]
    fed = given.encode("utf-8", "surrogateescape")
    try:
        done = subprocess.run(command, cwd=folder, input=fed, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise GitError("git is not installed") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace")
        raise GitError(" ".join(said.split()) or f"git {arguments[0]} failed")
    return done.stdout.decode("utf-8", "surrogateescape")


def names(folder: Path, *arguments: str) -> list[str]:
    """Return the NUL-separated names that a git command prints."""
    return [name for name in git(folder, *arguments).split("\0") if name]


def uncommitted(folder: Path) -> list[str] | None:
    """Return the files below `folder` that are not committed; None when git does not track it."""
    try:
        git(folder, "rev-parse", "--show-toplevel")
        states = git(folder, "status", "--porcelain", "--", ".").splitlines()
    except GitError:
        return None
    return [line[3:] for line in states]
