"""Databricks' own templates, today's and those of six earlier commits: wired, started, talked to.

`APP_TEMPLATES` names a clone of github.com/databricks/app-templates.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.standins.workspace import Workspace, open_workspace
from tests.support.app_templates import (
    MODEL,
    NotFinishedError,
    agents_at,
    installed,
    served,
)
from tests.support.existing_agents import adopted, run
from tests.support.releases import commit

CLONE = os.environ.get("APP_TEMPLATES", "")
COMMITS = ("HEAD", "e242515b", "dfeb4ac3", "b51a1305", "c2f9f09d", "f07ec37e", "bc598b86")
# Without an agent of the two frameworks, or with a pyproject.toml that is not valid.
REFUSED = ("there is no agent in it", "is not TOML")
RULES = "E9,F401,F811,F821,F823"  # what is undefined, imported twice or for nothing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not CLONE, reason="needs APP_TEMPLATES"),
]


def problems(folder: Path) -> set[str]:
    """Return what a linter finds in the code of an agent, without the lines."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", RULES]
    more = ["--output-format", "concise", str(folder / "agent_server")]
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
    return set(re.findall(r"^.*?:\d+:\d+: (.*)$", done.stdout, re.MULTILINE))


@pytest.fixture(scope="module", params=COMMITS)
def wired(
    request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """Return the agents of a commit that were wired; all others were refused with a reason."""
    found = []
    for folder in agents_at(Path(CLONE), request.param, tmp_path_factory.mktemp("templates")):
        before = problems(folder)
        done = run(folder, template, "--wire")
        if "--lakebase: " in done.stderr:
            done = run(folder, template, "--wire", "--lakebase", "autoscaling")
        if done.returncode:
            assert any(reason in done.stderr for reason in REFUSED), f"{folder}: {done.stderr}"
            continue
        assert problems(folder) - before == set(), folder
        commit(folder)
        found.append(folder)
    return found


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Yield a workspace with a Lakebase and the model that the templates name."""
    with open_workspace(tmp_path_factory.mktemp("workspace")) as workspace:
        workspace.content.models.append(MODEL)
        yield workspace


def test_several_agents_of_every_commit_are_wired(wired: list[Path]) -> None:
    assert len(wired) >= 3


def test_what_is_wired_is_not_wired_again(wired: list[Path], template: Path) -> None:
    for folder in wired:
        assert "nothing to do" in adopted(folder, template, "--wire"), folder


def talk(folder: Path, environment: Path, workspace: Workspace) -> None:
    """Check that an agent remembers across threads, users and restarts."""
    project, schema = installed(folder, environment), folder.name.replace("-", "_")
    workspace.database.reset()
    with served(project, workspace, schema) as server:
        server.ask("My name is Ada", "one")
        server.ask("Remember that I like teal", "one")
        assert "Ada" not in server.ask("What is my name?", "one", user="eve"), folder
        assert "teal" not in server.ask("What do you know about me?", "two", user="eve"), folder
        assert "Ada" not in server.ask("What is my name?", "two"), folder
    with served(project, workspace, schema) as server:
        assert "Ada" in server.ask("What is my name?", "one"), folder
        assert "teal" in server.ask("What do you know about me?", "two"), folder


def test_every_wired_agent_starts_and_remembers(
    wired: list[Path], workspace: Workspace, environments: Path
) -> None:
    unfinished = []
    for folder in wired:
        try:
            talk(folder, environments / f"templates {'openai' in folder.name}", workspace)
        except NotFinishedError:
            unfinished.append(folder.name)
    assert all("multiagent" in name for name in unfinished)
    assert len(wired) - len(unfinished) >= 3
