"""What comes from elsewhere is named exactly, and may be used."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.licences import is_known
from tests.support.rendering import REPOSITORY

WORKFLOWS = sorted(
    path
    for place in (REPOSITORY, REPOSITORY / "template")
    for path in (place / ".github" / "workflows").glob("*.yml*")
)
COMMENTS = {"pull-requests": "write"}
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+")


def actions(path: Path) -> list[str]:
    """Return the actions that a workflow uses, each with its comment."""
    return re.findall(r"uses:\s*(.*)", path.read_text("utf-8"))


def plain(path: Path) -> dict[str, Any]:
    """Return a workflow, without the conditions of the template."""
    lines = path.read_text("utf-8").splitlines()
    found: dict[str, Any] = yaml.safe_load("\n".join(line for line in lines if "{{" not in line))
    return found


def test_there_are_workflows() -> None:
    assert {path.name for path in WORKFLOWS} >= {"test.yml", "audit.yml", "deploy.yml.jinja"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_an_action_is_pinned_by_its_commit(path: Path) -> None:
    assert [action for action in actions(path) if not PINNED.fullmatch(action)] == []


@pytest.mark.parametrize("action", ["actions/checkout@v5", "a/b@main  # v1.0.0", f"a/b@{'0' * 40}"])
def test_an_action_that_is_not_pinned_is_found(action: str) -> None:
    assert not PINNED.fullmatch(action)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_and_the_preview_comment(path: Path) -> None:
    workflow, more = plain(path), COMMENTS if path.name == "preview.yml" else {}
    assert workflow["permissions"] == {"contents": "read", **more}
    assert not any("permissions" in job for job in workflow["jobs"].values())


@pytest.mark.parametrize("licence", ["MIT", "MPL-2.0 AND (Apache-2.0 OR MIT)", "Databricks"])
def test_an_approved_licence_is_known(licence: str) -> None:
    assert is_known(licence)


@pytest.mark.parametrize("licence", ["", "GPL-3.0-only", "MIT AND Proprietary", "Dual License"])
def test_no_other_licence_is_known(licence: str) -> None:
    assert not is_known(licence)
