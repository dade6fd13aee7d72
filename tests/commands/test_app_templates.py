"""Databricks' own templates, today's and those of six earlier commits: wired, or refused.

`APP_TEMPLATES` names a clone of github.com/databricks/app-templates.
"""

import io
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.existing_agents import adopted, run
from tests.support.releases import commit, git

CLONE = os.environ.get("APP_TEMPLATES", "")
COMMITS = ("HEAD", "e242515b", "dfeb4ac3", "b51a1305", "c2f9f09d", "f07ec37e", "bc598b86")
# Without an agent of the two frameworks, or with a pyproject.toml that is not valid.
REFUSED = ("there is no agent in it", "is not TOML")
RULES = "E9,F401,F811,F821,F823"  # what is undefined, imported twice or for nothing

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CLONE, reason="needs APP_TEMPLATES")]


def folders(at: str, home: Path) -> Iterator[Path]:
    """Yield the folders of agents at a commit, each a project in git."""
    names = git(Path(CLONE), "ls-tree", "--name-only", at).split()
    for name in (name for name in names if name.startswith("agent-")):
        command = ["git", "archive", at, name]
        archive = subprocess.run(command, cwd=CLONE, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(home, filter="data")
        git(home / name, "init", "--quiet")
        commit(home / name)
        yield home / name


def problems(folder: Path) -> set[str]:
    """Return what a linter finds in the code of an agent, without the lines."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", RULES]
    more = ["--output-format", "concise", str(folder / "agent_server")]
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
    return set(re.findall(r"^.*?:\d+:\d+: (.*)$", done.stdout, re.MULTILINE))


@pytest.mark.parametrize("at", COMMITS)
def test_every_agent_is_wired_or_refused_with_a_reason(
    template: Path, tmp_path: Path, at: str
) -> None:
    wired = 0
    for folder in folders(at, tmp_path):
        before = problems(folder)
        done = run(folder, template, "--wire")
        if "--lakebase: " in done.stderr:
            done = run(folder, template, "--wire", "--lakebase", "autoscaling")
        if done.returncode:
            assert any(reason in done.stderr for reason in REFUSED), f"{folder}: {done.stderr}"
            continue
        assert problems(folder) - before == set(), folder
        commit(folder)
        assert "nothing to do" in adopted(folder, template, "--wire"), folder
        wired += 1
    assert wired >= 3
