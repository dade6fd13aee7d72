"""What the Databricks CLI itself says of a project's bundle, on machines that have it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import run_here

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("databricks"), reason="the Databricks CLI is not here"),
]
PARENT = ("--project", "agents")


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
