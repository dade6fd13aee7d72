"""What Copier runs in a new project: a git repository and its first commit.

Standard library only: it runs in whatever environment Copier has. A task that fails would make
Copier delete the project, so this one never does: it says what is left to do.
"""

import os
import shutil
import subprocess
import sys

NO_IDENTITY = ("-c", "user.name=lakebase-agent", "-c", "user.email=lakebase-agent@localhost")


class GitError(Exception):
    """A git command failed; the text says why."""


def main(app_name: str) -> None:
    """Commit the new project, unless it is inside a repository or the user said not to."""
    if os.environ.get("LAKEBASE_AGENT_NO_HOOKS") == "1":
        return
    if not shutil.which("git"):
        raise GitError("git is not installed")
    if _succeeds("rev-parse", "--is-inside-work-tree"):
        _say("The project is inside a git repository: commit it there.")
        return
    _commit(f"chore: generate {app_name} from lakebase-agent")
    _say("Made the project a git repository, with a first commit.")


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
        main(sys.argv[1])
    except (GitError, OSError, ValueError) as error:
        print(
            f"No first commit yet ({error!s:.300}), and `copier update` needs one. To make it, run:"
        )
        print(
            '    git init && git add --all && git commit -m "chore: generate from lakebase-agent"'
        )
