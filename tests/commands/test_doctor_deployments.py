"""`lakebase-agent doctor`: what it says of deployments, and of the app that runs."""

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.conftest import Renders
from tests.standins.bundle import Deployment
from tests.standins.workspace import APP, ME, Workspace
from tests.support.commands import run_here
from tests.support.rendering import Combination
from tests.support.served import served

PLACE = ("--project", "agents", "--branch", "production")
DEPLOY = "databricks apps deploy --target prod"


@pytest.fixture
def project(renders: Renders, workspace: Workspace, tmp_path: Path) -> Path:
    """Return a project whose target prod is linked to that workspace."""
    combination = Combination("langgraph", ("short_term",), "autoscaling")
    folder = Path(shutil.copytree(renders[combination], tmp_path / "p"))
    done = run_here(folder, "link", "--target", "prod", *PLACE)
    assert done.returncode == 0, done.stderr
    return folder


def examine(project: Path, *options: str, target: str = "prod") -> dict[str, dict[str, Any]]:
    """Return the findings by the name of the check."""
    done = run_here(project, "doctor", "--target", target, "--json", *options)
    return {finding["check"]: finding for finding in json.loads(done.stdout)}


def test_an_app_in_the_targets_state_is_fine(project: Path) -> None:
    assert examine(project)["state"]["state"] == "ok"


def test_an_app_that_another_state_made_is_a_problem_with_its_bind(
    workspace: Workspace, project: Path
) -> None:
    workspace.content.files.clear()
    found = examine(project)["state"]
    assert found["state"] == "problem" and "exists, but not in the state" in found["text"]
    assert found["command"] == f"databricks bundle deployment bind my_agent {APP} --target prod"


def test_another_name_is_told_to_delete_the_app(workspace: Workspace, project: Path) -> None:
    bundle = project / "databricks.yml"
    bundle.write_text(bundle.read_text().replace('app_name: "my-agent"', 'app_name: "other"'))
    found = examine(project)["state"]
    assert found["state"] == "warning"
    assert f"makes other, and deletes {APP}" in found["text"]


def test_a_state_that_one_may_not_read_is_no_problem(workspace: Workspace, project: Path) -> None:
    workspace.faults.forbidden("/api/2.0/workspace/export")
    assert examine(project)["state"]["state"] == "skipped"


def test_a_state_of_an_older_cli_is_read(workspace: Workspace, project: Path) -> None:
    [path] = workspace.content.files
    app = {"name": "my_agent", "instances": [{"attributes": {"name": APP}}]}
    state = json.dumps({"resources": [{"type": "databricks_app", **app}]}).encode()
    workspace.content.files = {path.replace("resources.json", "terraform.tfstate"): state}
    assert examine(project)["state"]["state"] == "ok"


@pytest.fixture
def created(workspace: Workspace, project: Path) -> Path:
    """Return the project once the bundle creates what the target has."""
    for old in (workspace.content.apps, workspace.content.files, workspace.content.experiments):
        old.clear()
    (project / "workspace.prod.yml").unlink()
    assert run_here(project, "link", "--create", "--target", "prod").returncode == 0
    return project


def test_what_the_bundle_has_not_created_yet_is_skipped(created: Path) -> None:
    found = examine(created)
    assert found["bundle"]["state"] == "ok"
    assert {found[name]["state"] for name in ("lakebase", "experiment")} == {"skipped"}
    assert found["app"]["command"] == DEPLOY


def test_what_the_bundle_created_is_read_from_the_app(workspace: Workspace, created: Path) -> None:
    Deployment(workspace.content, created, "prod", ME, {}).deploy()
    found = examine(created)
    branch = "projects/my-agent/branches/production"
    assert found["lakebase"]["text"] == f"{branch}/endpoints/primary is awake"
    assert found["experiment"]["state"] == "ok" and "${" not in found["experiment"]["text"]


def test_variables_of_the_environment_count(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUNDLE_VAR_app_name", "elsewhere")
    assert "elsewhere is not deployed yet" in examine(project)["app"]["text"]
    monkeypatch.setenv("BUNDLE_VAR_experiment_id", "404")
    assert "'404'" in examine(project)["experiment"]["text"]


def include(project: Path, text: str) -> None:
    """Let the bundle include another file of its owner."""
    bundle = project / "databricks.yml"
    bundle.write_text(bundle.read_text().replace("include:", "include:\n  - more/*.yml"))
    (project / "more").mkdir()
    (project / "more" / "ours.yml").write_text(text)


def test_a_file_of_the_owners_that_the_bundle_includes_counts(project: Path) -> None:
    include(
        project,
        "run_as: {user_name: somebody@example.com}\n"
        "variables: {team: {default: elsewhere}}\n"
        "targets: {prod: {variables: {app_name: {default: '${var.team}'}}}}\n",
    )
    found = examine(project)
    assert found["bundle"]["state"] == "ok"
    assert "elsewhere is not deployed yet" in found["app"]["text"]


def test_what_the_cli_looks_up_is_not_taken_for_missing(project: Path) -> None:
    include(project, "variables: {cluster: {lookup: {cluster: shared}}}")
    assert examine(project)["bundle"]["state"] == "ok"


def test_a_missing_variable_of_the_owners_is_not_for_link(project: Path) -> None:
    include(project, "variables: {team: {description: Who}}")
    found = examine(project)["bundle"]
    assert (found["state"], "link does not set" in found["text"]) == ("problem", True)
    assert found["command"].endswith("export BUNDLE_VAR_team")


def test_what_only_the_cli_can_read_is_said_and_not_guessed(project: Path) -> None:
    who = "${workspace.current_user.short_name}"
    include(project, f"targets: {{prod: {{variables: {{app_name: 'my-{who}'}}}}}}")
    done = run_here(project, "doctor", "--target", "prod")
    assert f"only the Databricks CLI can read app_name, which is my-{who}" in done.stdout
    assert "export BUNDLE_VAR_app_name=" in done.stdout
    assert "not deployed" not in done.stdout


def test_an_unknown_target_is_an_error_that_names_the_nearest(project: Path) -> None:
    done = run_here(project, "doctor", "--target", "prd")
    assert (done.returncode, done.stdout) == (2, "")
    assert "only dev, prod (did you mean --target prod?)" in done.stderr


def test_of_a_bundle_without_the_default_target_the_only_one_is_named(project: Path) -> None:
    bundle = project / "databricks.yml"
    text = bundle.read_text()
    start, end = text.index("  dev:"), text.index("  prod:")
    bundle.write_text(text[:start] + text[end:])
    for command in ("link", "doctor"):
        assert "(did you mean --target prod?)" in run_here(project, command).stderr
    assert examine(project)["bundle"]["state"] == "ok"


def test_a_target_that_is_not_linked_says_so_once(project: Path) -> None:
    (project / "workspace.prod.yml").unlink()
    found = examine(project)
    assert "lakebase_branch" in found["bundle"]["text"]
    assert {found[name]["state"] for name in ("lakebase", "experiment")} == {"skipped"}


def test_two_targets_on_one_branch_are_a_warning(project: Path) -> None:
    assert "targets" not in examine(project)
    assert run_here(project, "link", *PLACE).returncode == 0
    found = examine(project)["targets"]
    assert found["state"] == "warning" and "prod and dev share lakebase_branch" in found["text"]
    assert found["command"] == "lakebase-agent link --create"


def test_the_newest_cli_that_a_file_asks_for_is_needed(
    created: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "databricks"
    program.write_text("#!/bin/sh\necho Databricks CLI v0.300.1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert "older than 1.7.0" in examine(created)["cli"]["text"]


class RunningApp:
    """An app behind the proxy of Databricks Apps, which lets in who has a token."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.told: dict[str, Any] = {"status": "ready", "version": "0.1.0", "schema": "my_agent"}
        self.status = 200

    async def answer(self, request: Request) -> Response:
        """Answer `/ready` as the server does, or send a stranger to sign in."""
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return RedirectResponse("/oidc/authorize", 302)
        return JSONResponse(self.told, self.status)


@pytest.fixture
def running(workspace: Workspace) -> Iterator[RunningApp]:
    """Yield the app as it runs."""
    app = RunningApp(workspace.token)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        workspace.content.apps[APP].url = url
        with served(Starlette(routes=[Route("/ready", app.answer)]), listener):
            yield app


def test_the_running_app_is_asked_as_oneself(running: RunningApp, project: Path) -> None:
    found = examine(project, "--deployed")
    assert {found[name]["state"] for name in ("ready", "version", "schema")} == {"ok"}
    assert "ready" not in examine(project)


def test_an_app_of_another_version_or_schema_is_a_warning(
    running: RunningApp, project: Path
) -> None:
    running.told |= {"version": "0.0.9", "schema": "my_agent_dev", "degraded": ["genie"]}
    found = examine(project, "--deployed")
    assert {found[name]["state"] for name in ("version", "schema", "tools")} == {"warning"}
    assert found["version"]["text"] == "the app has 0.0.9, this folder 0.1.0"
    assert found["version"]["command"] == DEPLOY


def test_an_app_that_is_not_ready_says_why(running: RunningApp, project: Path) -> None:
    running.status, running.told = 503, {"error": {"message": "database: connect: refused"}}
    found = examine(project, "--deployed")["ready"]
    assert found["state"] == "problem" and "database: connect: refused" in found["text"]
    assert found["command"] == f"databricks apps logs {APP}"


def test_an_app_that_one_may_not_use_is_told_from_a_broken_one(
    running: RunningApp, project: Path
) -> None:
    running.token = "somebody else's"
    found = examine(project, "--deployed")["ready"]
    assert found["state"] == "problem" and "does not let you in" in found["text"]


def test_an_app_that_is_away_is_a_problem(workspace: Workspace, project: Path) -> None:
    workspace.content.apps[APP].url = "http://127.0.0.1:9"
    assert "can't be reached" in examine(project, "--deployed")["ready"]["text"]
