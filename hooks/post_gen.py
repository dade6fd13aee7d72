"""What Copier runs in a new project: look its Lakebase up, make it a git repository, commit.

Standard library only: it runs in whatever environment Copier has. A task that fails would make
Copier delete the project, so this one never does: it says what is left to do.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parent.parent
LINK = "uvx --from git+https://github.com/org/lakebase-agent lakebase-agent link"
NO_IDENTITY = ("-c", "user.name=lakebase-agent", "-c", "user.email=lakebase-agent@localhost")


class GitError(Exception):
    """A git command failed; the text says why."""


def main(app_name: str, lakebase: str) -> None:
    """Link and commit the new project, unless the user said not to."""
    if os.environ.get("LAKEBASE_AGENT_NO_HOOKS") == "1":
        return
    if lakebase != "local" and not _linked():
        print(f"Not connected to a workspace yet. To do it, run in the project:\n    {LINK}")
    if not shutil.which("git"):
        raise GitError("git is not installed")
    if _succeeds("rev-parse", "--is-inside-work-tree"):
        _say("The project is inside a git repository: commit it there.")
        return
    _commit(f"chore: generate {app_name} from lakebase-agent")
    _say("Made the project a git repository, with a first commit.")


def _linked() -> bool:
    uv = _uv()
    if not uv:
        print("uv is not installed, and looking the Lakebase up needs it.")
        return False
    nobody = "--quiet" in sys.argv or "--defaults" in sys.argv or os.environ.get("CI")
    command = [*uv, "tool", "run", "--quiet", "--from", str(TEMPLATE), "lakebase-agent", "link"]
    try:
        return (
            subprocess.run([*command, *(["--yes"] if nobody else [])], check=False).returncode == 0
        )
    except KeyboardInterrupt:  # the person has had enough of questions, not of the project
        return False


def _uv() -> list[str]:
    if program := os.environ.get("UV") or shutil.which("uv"):
        return [program]
    return [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") else []


def _commit(message: str) -> None:
    identity: tuple[str, ...] = ()
    _git("init", "--quiet")
    if not _succeeds("var", "GIT_COMMITTER_IDENT"):
        identity = NO_IDENTITY
        _say("git does not know your name and e-mail address: the first commit has neutral ones.")
    _git("add", "--all")
    _git(*identity, "commit", "--quiet", "--message", message)


def _git(*arguments: str) -> None:
    done = _run(*arguments)
    if done.returncode:
        raise GitError(" ".join(done.stderr.split()) or f"git {arguments[0]} failed")


def _succeeds(*arguments: str) -> bool:
    return _run(*arguments).returncode == 0


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["git", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def _say(line: str) -> None:
    if "--quiet" not in sys.argv:
        print(line)


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2])
    except (GitError, OSError, ValueError) as error:
        print(
            f"No first commit yet ({error!s:.300}), and `copier update` needs one. To make it, run:"
        )
        print(
            '    git init && git add --all && git commit -m "chore: generate from lakebase-agent"'
        )
