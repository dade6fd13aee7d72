"""What Copier runs in a new project: link it to its Lakebase, lock its packages, commit all.

It imports the standard library only, because it runs in whatever environment Copier has. It never
fails, because Copier deletes a project whose task fails: it says what is left to do instead.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parent.parent
LINK_COMMAND = "uvx --from git+https://github.com/org/lakebase-agent lakebase-agent link"
LOCK_COMMAND = "uv lock && git add uv.lock"
COMMIT_COMMAND = 'git init && git add --all && git commit -m "chore: generate from lakebase-agent"'
LOCK_SECONDS = 120
NEUTRAL_IDENTITY = ("-c", "user.name=lakebase-agent", "-c", "user.email=lakebase-agent@localhost")


class GitError(Exception):
    """A git command failed; the text says why."""


def main(app_name: str, lakebase: str) -> None:
    """Link, lock and commit the new project, unless LAKEBASE_AGENT_NO_HOOKS is 1.

    Raises GitError and OSError if it can't be committed.
    """
    if os.environ.get("LAKEBASE_AGENT_NO_HOOKS") == "1":
        return
    if lakebase != "local" and not _link():
        print("The project is not linked to a workspace yet. To link it, run in its folder:")
        print(f"    {LINK_COMMAND}")
    if Path("pyproject.toml").is_file() and not _lock():
        lines = [
            "There is no uv.lock yet, which a deployment needs. To write it, run in its folder:"
        ]
        print("\n".join([*lines, f"    {LOCK_COMMAND}"]), file=sys.stderr)
    if not shutil.which("git"):
        raise GitError("git is not installed")
    if _succeeds("rev-parse", "--is-inside-work-tree"):
        _say("The project is inside a git repository: commit it there.")
        return
    _commit(f"chore: generate {app_name} from lakebase-agent")
    _say("Made the project a git repository, with a first commit.")


def _link() -> bool:
    """Run `lakebase-agent link` from this version of the template; return whether it worked."""
    uv = _uv_command()
    if not uv:
        print("uv is not installed, and linking the project needs it.")
        return False
    command = [*uv, "tool", "run", "--quiet", "--from", str(TEMPLATE), "lakebase-agent", "link"]
    if "--quiet" in sys.argv or "--defaults" in sys.argv or os.environ.get("CI"):
        command.append("--yes")
    try:
        return subprocess.run(command, check=False).returncode == 0
    except KeyboardInterrupt:  # stops the questions, and keeps the project
        return False


def _lock() -> bool:
    """Write uv.lock; return whether it worked.

    Databricks Apps installs with uv only if the lock file is uploaded with the rest.
    """
    uv = _uv_command()
    if not uv:
        print("uv is not installed.", file=sys.stderr)
        return False
    try:
        done = subprocess.run([*uv, "lock", "--quiet"], timeout=LOCK_SECONDS, check=False)
    except (KeyboardInterrupt, subprocess.TimeoutExpired):  # keeps the project
        return False
    return done.returncode == 0


def _uv_command() -> list[str]:
    """Return the command that starts uv; empty if it is not installed."""
    if program := os.environ.get("UV") or shutil.which("uv"):
        return [program]
    return [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") else []


def _commit(message: str) -> None:
    _git("init", "--quiet")
    identity: tuple[str, ...] = ()
    if not _succeeds("var", "GIT_COMMITTER_IDENT"):
        identity = NEUTRAL_IDENTITY
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
        print(f"There is no first commit yet: {error!s:.300}")
        print("`copier update` needs one. To make it, run in the project's folder:")
        print(f"    {COMMIT_COMMAND}")
