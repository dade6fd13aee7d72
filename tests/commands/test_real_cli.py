"""What the Databricks CLI itself says of a project's bundle, on machines that have it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Renders
from tests.standins.workspace import Workspace, open_workspace
from tests.support.commands import run_here
from tests.support.rendering import Combination

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("databricks"), reason="the Databricks CLI is not here"),
]
PARENT = ("--project", "agents")


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """Yield a workspace that the environment leads to."""
    with open_workspace() as workspace:
        for name, value in workspace.variables(DATABRICKS_CONFIG_PROFILE="").items():
            monkeypatch.setenv(name, value)
        yield workspace


@pytest.fixture
def project(
    request: pytest.FixtureRequest, workspace: Workspace, renders: Renders, tmp_path: Path
) -> Path:
    """Return a project on an autoscaling Lakebase, or what the test asks for."""
    flavour = getattr(request, "param", "autoscaling")
    combination = Combination("langgraph", ("short_term", "long_term"), flavour)
    return Path(shutil.copytree(renders[combination], tmp_path / "p"))


def validate(project: Path, target: str) -> "subprocess.CompletedProcess[str]":
    """Run `databricks bundle validate --strict`."""
    return subprocess.run(
        ["databricks", "bundle", "validate", "--strict", "--target", target],
        cwd=project, env=os.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("project", "target", "options"),
    [
        ("autoscaling", "dev", PARENT),
        ("autoscaling", "prod", ("--deployer", "ada@example.com", "--users", "analysts")),
        ("autoscaling", "pr", PARENT),
        ("provisioned", "dev", ()),
        ("provisioned", "prod", ()),
    ],
    indirect=["project"],
)
def test_it_accepts_what_link_declares(
    project: Path, target: str, options: tuple[str, ...]
) -> None:
    linked = run_here(project, "link", "--create", "--target", target, *options)
    assert linked.returncode == 0, linked.stderr
    done = validate(project, target)
    assert done.returncode == 0, done.stdout + done.stderr


def test_before_link_it_says_what_to_run(project: Path) -> None:
    done = validate(project, "prod")
    assert done.returncode != 0
    assert "run-lakebase-agent-link" in done.stdout + done.stderr
