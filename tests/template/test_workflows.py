"""The workflows of a project: their commands, run in a shell with stand-ins for the tools."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Renders
from tests.support.rendering import Combination

URL = "https://my-agent-pr-7.example.com"
SUMMARY = '{"resources": {"apps": {"my_agent": {"name": "my-agent-pr-7"}}}}'
TOOL = """#!/bin/sh
echo "$(basename "$0") $*" >> "{calls}"
case "$*" in
"bundle summary"*) echo '{summary}' ;;
"apps get my-agent-pr-7"*) echo '{{"url": "{url}"}}' ;;
*"{fails}"*) exit 1 ;;
esac
"""


@dataclass
class Runner:
    """Runs workflows as GitHub does, as far as these need it: conditions, variables, commands."""

    project: Path
    bin: Path
    failing: str = "no command fails"
    calls: list[str] = field(default_factory=list)
    said: str = ""

    def run(self, workflow: str, context: Mapping[str, Any]) -> bool:
        """Run every job whose condition holds, and return whether all commands worked."""
        path = self.project / ".github" / "workflows" / workflow
        document = yaml.safe_load(path.read_text())
        jobs = [job for job in document["jobs"].values() if self._holds(job, context)]
        return all(self._run(job, document.get("env", {}), context) for job in jobs)

    def _run(self, job: Mapping[str, Any], env: Mapping[str, str], context: Any) -> bool:
        for step in job["steps"]:
            if "run" not in step or not self._holds(step, context):
                continue
            given = {**env, **job.get("env", {}), **step.get("env", {})}
            variables = {name: self._filled(str(value), context) for name, value in given.items()}
            if not self._shell(step["run"], variables):
                return False
        return True

    def _shell(self, script: str, variables: Mapping[str, str]) -> bool:
        log = self.bin / "calls"
        log.write_text("")
        for tool in ("databricks", "uv", "gh"):
            text = TOOL.format(calls=log, url=URL, fails=self.failing, summary=SUMMARY)
            (self.bin / tool).write_text(text)
            (self.bin / tool).chmod(0o755)
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=self.project, env={"PATH": path, "GITHUB_REPOSITORY": "o/r", **variables},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.calls += log.read_text().splitlines()
        self.said += done.stdout + done.stderr
        return done.returncode == 0

    def _holds(self, part: Mapping[str, Any], context: Mapping[str, Any]) -> bool:
        condition = re.sub(r"hashFiles\('(.+?)'\)", self._hash, part.get("if", "1 == 1"))
        terms = [self._filled(f"${{{{ {term} }}}}", context) for term in condition.split(" && ")]
        return all(_equal(*re.split(" ([!=]=) ", term)) for term in terms)

    def _hash(self, match: re.Match[str]) -> str:
        return "'hash'" if (self.project / match[1]).is_file() else "''"

    def _filled(self, text: str, context: Mapping[str, Any]) -> str:
        def value(match: re.Match[str]) -> str:
            words = re.split(r"( [!=]= )", match[1])
            return "".join(str(context.get(word, word)) for word in words)

        return re.sub(r"\$\{\{ (.*?) \}\}", value, text)


def _equal(left: str, operator: str, right: str) -> bool:
    return (left.strip("'") == right.strip("'")) == (operator == "==")


@pytest.fixture
def runner(renders: Renders, tmp_path: Path) -> Runner:
    """Return what runs a project's workflows; its targets are not linked."""
    project = renders[Combination("langgraph", ("short_term", "long_term"), "autoscaling")]
    shutil.copytree(project / ".github", tmp_path / "p" / ".github")
    return Runner(tmp_path / "p", tmp_path)


@pytest.fixture
def linked(runner: Runner) -> Runner:
    """Return it once `link` has written the files of all targets."""
    for target in ("dev", "prod", "pr"):
        (runner.project / f"workspace.{target}.yml").touch()
    return runner


def pull_request(action: str, fork: bool = False) -> dict[str, Any]:
    """Return what a workflow knows of an event of pull request 7."""
    return {
        "github.event.action": action,
        "github.event.number": 7,
        "github.event.pull_request.head.repo.fork": str(fork).lower(),
    }


def test_a_pull_request_is_deployed_and_told_where(linked: Runner) -> None:
    assert linked.run("preview.yml", pull_request("opened")), linked.said
    *deployed, _summary, _app, told = linked.calls
    assert deployed == [
        "uv lock --check",
        "databricks bundle validate --strict --target pr",
        "databricks apps deploy --target pr",
    ]
    assert told.startswith("gh pr comment 7 --repo o/r") and URL in told


def test_a_closed_pull_request_is_destroyed_and_nothing_else(linked: Runner) -> None:
    assert linked.run("preview.yml", pull_request("closed")), linked.said
    assert linked.calls == ["databricks bundle destroy --target pr --auto-approve"]


def test_a_failed_deployment_is_not_announced(linked: Runner) -> None:
    linked.failing = "apps deploy"
    assert not linked.run("preview.yml", pull_request("synchronize"))
    assert not any(call.startswith("gh") for call in linked.calls)


@pytest.mark.parametrize("action", ["opened", "closed"])
def test_a_pull_request_of_a_fork_touches_no_workspace(linked: Runner, action: str) -> None:
    assert linked.run("preview.yml", pull_request(action, fork=True))
    assert linked.calls == []


@pytest.mark.parametrize("action", ["opened", "closed"])
def test_without_a_target_for_them_pull_requests_have_no_app(runner: Runner, action: str) -> None:
    assert runner.run("preview.yml", pull_request(action)), runner.said
    assert not any(call.startswith("databricks") for call in runner.calls)


@pytest.mark.parametrize("target", ["dev", "prod"])
def test_a_deployment_is_checked_then_made(linked: Runner, target: str) -> None:
    assert linked.run("deploy.yml", {"inputs.target": target}), linked.said
    assert linked.calls == [
        "uv sync --locked",
        "uv run pytest",
        f"databricks bundle validate --strict --target {target}",
        f"databricks bundle deploy --target {target}",
        f"uv run python scripts/grant_lakebase_permissions.py --target {target}",
        f"databricks bundle run --target {target} my_agent",
    ]


def test_production_is_deployed_only_where_it_is_linked(runner: Runner) -> None:
    assert not runner.run("deploy.yml", {"inputs.target": "prod"})
    assert runner.calls == []
    assert "lakebase-agent link --target prod" in runner.said


def test_a_change_is_tested_with_the_locked_packages(runner: Runner) -> None:
    assert runner.run("test.yml", {}), runner.said
    assert runner.calls[0] == "uv sync --locked"


def test_what_fails_its_tests_is_not_deployed(linked: Runner) -> None:
    linked.failing = "run pytest"
    assert not linked.run("deploy.yml", {"inputs.target": "prod"})
    assert not any(call.startswith("databricks") for call in linked.calls)
