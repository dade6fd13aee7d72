"""From `copier copy` to an agent that remembers: the hook, git, uv and the server for real."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.standins.workspace import INSTANCE, PROJECT, Workspace, open_workspace
from tests.support.project import Project, Server, clean_environment
from tests.support.rendering import REPOSITORY

pytestmark = [
    pytest.mark.generated,
    pytest.mark.skipif(sys.platform != "linux", reason="needs addresses of the loopback"),
]
PLACES = {
    "autoscaling": ("langgraph", f"lakebase_project={PROJECT}"),
    "provisioned": ("openai", f"lakebase_instance={INSTANCE}"),
}


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """Yield a workspace with a database."""
    with open_workspace(tmp_path / "database") as workspace:
        yield workspace


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a copy of this repository without git, so that the working tree is what is used."""
    ignored = shutil.ignore_patterns(".git", ".venv*", ".*_cache", "__pycache__")
    return Path(shutil.copytree(REPOSITORY, tmp_path / "lakebase-agent", ignore=ignored))


@pytest.mark.parametrize(
    "flavour", ["autoscaling", pytest.param("provisioned", marks=pytest.mark.long)]
)
def test_a_copied_project_is_linked_starts_and_remembers_through_a_restart(
    repository: Path, workspace: Workspace, tmp_path: Path, flavour: str
) -> None:
    project = _copy(repository, tmp_path / "my agent", workspace, flavour)
    # The sign-in alone: where everything is, `link` has written down.
    signed_in = {"DATABRICKS_TOKEN": workspace.token, "DATABRICKS_CONFIG_FILE": "none"}
    project.uv("run", "start-app", "--help")
    with Server(project, **signed_in) as server:
        server.until_ready().ask("My name is Ada", "t")
        server.ask("Remember that I like teal")
    with Server(project, **signed_in) as server:
        assert "Ada" in server.until_ready().ask("What is my name?", "t")
        assert "teal" in server.ask("What do you know about me?")
    assert workspace.database.logins


def _copy(repository: Path, folder: Path, workspace: Workspace, flavour: str) -> Project:
    framework, place = PLACES[flavour]
    answers = [f"framework={framework}", f"lakebase={flavour}", place]
    data = [word for answer in answers for word in ("--data", answer)]
    copier = (sys.executable, "-m", "copier", "copy", "--trust", "--defaults")
    done = subprocess.run(
        [*copier, *data, repository, folder],
        env={**clean_environment(), **workspace.variables()},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "wrote workspace.dev.yml" in done.stdout, done
    tracked = subprocess.run(["git", "ls-files"], cwd=folder, capture_output=True, text=True)
    assert {"workspace.dev.yml", "uv.lock"} <= set(tracked.stdout.split())
    assert ".env" not in tracked.stdout.split()
    return Project(folder, folder / ".venv")
