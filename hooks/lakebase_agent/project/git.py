"""Running git."""

import os
import subprocess
from pathlib import Path

# A user's own settings may leave out or change the prefixes of a diff, which `git apply` needs.
# and their hooks are for their own commits.
SETTINGS = ("diff.noprefix", "diff.mnemonicPrefix", "diff.relative")
NO_HOOKS = f"core.hooksPath={os.devnull}"
PLAIN = ["-c", NO_HOOKS, *(part for name in SETTINGS for part in ("-c", f"{name}=false"))]
LINK, PROGRAM = "120000", "100755"  # modes of files
STATUS = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=normal", "--", ".")


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


def undisturbed() -> dict[str, str]:
    """Return the environment variables by which git runs no hooks, and signs nothing."""
    known = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    variables = {"GIT_CONFIG_COUNT": str(known + 2)}
    for number, (key, value) in enumerate(
        (("core.hooksPath", os.devnull), ("commit.gpgsign", "false")), start=known
    ):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


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
        return [state[3:] for state in names(folder, *STATUS)]
    except GitError:
        return None


def tracked(folder: Path, mode: str) -> list[str]:
    """Return the files below `folder` that git tracks with a mode; raises GitError."""
    entries = names(folder, "ls-files", "--stage", "-z", "--", ".")
    return [entry.partition("\t")[2] for entry in entries if entry.startswith(mode)]


def unwatched(folder: Path) -> list[str]:
    """Return the files below `folder` whose changes git was told not to see; raises GitError."""
    entries = names(folder, "ls-files", "-v", "-z", "--", ".")
    return [entry[2:] for entry in entries if entry[0] == "S" or entry[0].islower()]


def shortened(files: list[str]) -> str:
    """Return the first ten names in a line."""
    return ", ".join(files[:10]) + (" ..." if len(files) > 10 else "")
