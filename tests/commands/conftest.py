"""A workspace that the environment leads to, and a project for it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Renders
from tests.standins.workspace import Workspace, open_workspace
from tests.support.rendering import Combination


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
    """Return a project on an autoscaling Lakebase, or what the test asks for, or without memory."""
    flavour = getattr(request, "param", "autoscaling")
    combination = Combination("langgraph", ("short_term", "long_term"), flavour)
    if flavour == "no memory":
        combination = Combination("langgraph", (), "autoscaling")
    return Path(shutil.copytree(renders[combination], tmp_path / "p"))
