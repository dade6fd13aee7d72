"""What Copier runs in a new project: a git repository and its first commit.

Standard library only: it runs in whatever environment Copier has. A task that fails would make
Copier delete the project, so this one never does: it says what is left to do.
"""

import os
import shutil
import subprocess
import sys

LATER = "git init && git add --all && git commit -m 'chore: generate the agent'"


def main() -> None:
    """Commit the new project, unless it is inside a repository or the user said not to."""
    if os.environ.get("LAKEBASE_AGENT_NO_HOOKS") == "1":
        return
    if not shutil.which("git"):
        print(f"git is not installed. `copier update` needs it; when it is, run: {LATER}")
        return
    if _git("rev-parse", "--is-inside-work-tree").returncode == 0:
        print("The folder is inside a git repository: commit the new project there.")
        return
    failure = _commit(sys.argv[1])
    if failure:
        print(f"The first commit failed ({failure}). `copier update` needs it; run: {LATER}")
    else:
        print("Committed the new project to a git repository of its own.")


def _commit(app_name: str) -> str:
    """Return why the commit failed, or nothing."""
    message = f"chore: generate {app_name} from lakebase-agent"
    commit = ["commit", "--quiet", "-m", message]
    if not _git("config", "user.email").stdout.strip():
        print("git knows no name and e-mail address of yours; this commit uses a neutral one.")
        commit = ["-c", f"user.name={app_name}", "-c", f"user.email={app_name}@localhost", *commit]
    for arguments in (["init", "--quiet"], ["add", "--all"], commit):
        done = _git(*arguments)
        if done.returncode:
            return " ".join(done.stderr.split()) or f"git {arguments[0]} said nothing"
    return ""


def _git(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        print(f"Could not make a git repository ({error}). `copier update` needs it; run: {LATER}")
