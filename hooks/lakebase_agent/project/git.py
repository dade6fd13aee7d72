"""Running git."""

import subprocess
from pathlib import Path

# A user's own settings may leave out or change the prefixes of a diff, which `git apply` needs.
SETTINGS = ("diff.noprefix", "diff.mnemonicPrefix", "diff.relative")
PLAIN = [part for name in SETTINGS for part in ("-c", f"{name}=false")]


class GitError(Exception):
    """A git command failed; the text is what it printed."""


def git(folder: Path, *arguments: str, given: str = "") -> str:
    """Return what a git command prints in `folder`, with `given` as its input; raises GitError.

    Bytes that are not UTF-8 are kept as surrogates in both texts.
    """
    command = ["git", *PLAIN, *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            input=given.encode("utf-8", "surrogateescape"),
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise GitError("git is not installed") from error
    if done.returncode:
        reason = done.stderr.decode("utf-8", "replace")
        raise GitError(" ".join(reason.split()) or f"git {arguments[0]} failed")
    return done.stdout.decode("utf-8", "surrogateescape")


def names(folder: Path, *arguments: str) -> list[str]:
    """Return the names that a git command prints, separated by NUL; raises GitError."""
    return [name for name in git(folder, *arguments).split("\0") if name]


def top_of(folder: Path) -> Path:
    """Return the folder of the repository that `folder` is in; raises GitError."""
    return Path(git(folder, "rev-parse", "--show-toplevel").removesuffix("\n")).resolve()


def uncommitted(folder: Path) -> list[str] | None:
    """Return the uncommitted files below `folder`; None if it is not in a git repository."""
    try:
        git(folder, "rev-parse", "--show-toplevel")
        states = git(folder, "status", "--porcelain", "--", ".").splitlines()
    except GitError:
        return None
    return [line[3:] for line in states]
