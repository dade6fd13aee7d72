"""Agents that an earlier release adopted, with the program of that release."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.releases import commit, git, releases_of
from tests.support.rendering import REPOSITORY, copy_template

NEXT = "v0.4.0"
PROGRAM = "from lakebase_agent.cli import main; main()"


def check_out_release(folder: Path, release: str) -> Path:
    """Clone the template to a folder, as it was at a release."""
    git(folder.parent, "clone", "--quiet", "--no-tags", str(REPOSITORY), str(folder))
    git(folder, "checkout", "--quiet", releases_of(REPOSITORY)[release])
    git(folder, "tag", release)
    return folder


def add_this_tree(earlier: Path, folder: Path) -> Path:
    """Clone a template to a folder, and release this working tree there."""
    git(folder.parent, "clone", "--quiet", str(earlier), str(folder))
    git(folder, "rm", "-r", "--quiet", "template", "hooks")
    copy_template(folder)
    commit(folder)
    git(folder, "tag", NEXT)
    return folder


def adopt_at_release(folder: Path, earlier: Path, *flags: str) -> str:
    """Adopt a project with the program of an earlier release, commit, and return its output."""
    command = [sys.executable, "-c", PROGRAM, "adopt", str(folder), "--source", str(earlier)]
    variables = {**os.environ, "PYTHONPATH": str(earlier / "hooks")}
    done = subprocess.run(
        [*command, "--yes", *flags], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    commit(folder)
    return done.stdout
