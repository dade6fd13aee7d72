"""`lakebase-agent doctor`: whether the app may act as the user, as far as its tools need it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Renders
from tests.standins.workspace import APP, Workspace
from tests.support.commands import run_here
from tests.support.rendering import Combination

DEPLOY = "databricks apps deploy --target prod"
GENIE = 'Mcp("sales", "/api/2.0/mcp/genie/01f0aaaa", as_user=True)'
AS_USER = """
from agent_server.on_behalf import as_user

def statement(client):
    return client.statement_execution.execute_statement("SELECT 1", "a1b2")

async def count_orders() -> str:
    return str(await as_user({}))
"""


@pytest.fixture
def project(renders: Renders, workspace: Workspace, tmp_path: Path) -> Path:
    """Return a project whose target prod is linked to that workspace, where its app runs."""
    combination = Combination("langgraph", ("long_term",), "local")
    return Path(shutil.copytree(renders[combination], tmp_path / "p"))


def uses(project: Path, code: str) -> None:
    """Add code to tools.py."""
    path = project / "agent_server" / "tools.py"
    path.write_text(f"{path.read_text()}\n{code}\n")


def asks_for(project: Path, *scopes: str, line: str = "# user_api_scopes: [sql]") -> None:
    """Let the bundle's app ask for scopes."""
    path = project / "databricks.yml"
    path.write_text(path.read_text().replace(line, f"user_api_scopes: [{', '.join(scopes)}]"))


def deployed(workspace: Workspace, *asked: str, granted: list[str] | None = None) -> None:
    """Let the app that runs have asked for scopes, and been granted some of them."""
    app = workspace.content.apps[APP]
    app.user_api_scopes, app.granted = list(asked), granted


def scopes(project: Path) -> list[dict[str, Any]]:
    """Return what is found of scopes."""
    done = run_here(project, "doctor", "--target", "prod", "--json")
    return [found for found in json.loads(done.stdout) if found["check"] == "scopes"]


def test_a_project_that_acts_as_nobody_is_not_asked(workspace: Workspace, project: Path) -> None:
    uses(project, GENIE.replace(", as_user=True", ""))
    assert scopes(project) == []
    assert not workspace.calls("/api/2.1/settings")


def test_what_tools_need_asked_for_and_granted_is_fine(workspace: Workspace, project: Path) -> None:
    uses(project, GENIE)
    asks_for(project, "genie")
    deployed(workspace, "genie")
    [found] = scopes(project)
    assert found["state"] == "ok" and "genie" in found["text"]


@pytest.mark.parametrize(
    ("code", "scope"),
    [
        (GENIE, "genie"),
        ('Mcp("f", "/api/2.0/mcp/functions/main/tools", as_user=True)', "mcp.functions"),
        (AS_USER.format("lambda w: w.genie.list_spaces()"), "genie"),
        (AS_USER.format("statement"), "sql"),
    ],
    ids=["genie", "functions", "lambda", "function"],
)
def test_a_scope_that_tools_need_and_the_bundle_lacks_is_named(
    workspace: Workspace, project: Path, code: str, scope: str
) -> None:
    uses(project, code)
    [found] = scopes(project)
    assert found["state"] == "problem" and f"needs {scope}" in found["text"]
    assert found["command"].startswith(f"add {scope} to user_api_scopes")


def test_what_needs_no_scope_is_no_problem(workspace: Workspace, project: Path) -> None:
    uses(project, AS_USER.format("lambda w: w.current_user.me()"))
    uses(project, 'Mcp("docs", "https://mcp.example.com", as_user=True)')
    assert scopes(project) == []


def shares_with(project: Path, groups: str) -> None:
    """Name the groups that share memories."""
    path, line = project / "pyproject.toml", "SHARED_MEMORY_GROUPS = "
    path.write_text(path.read_text().replace(f'{line}""', f'{line}"{groups}"'))


def test_groups_that_share_memories_need_a_scope(workspace: Workspace, project: Path) -> None:
    shares_with(project, "analysts")
    [found] = scopes(project)
    assert found["state"] == "problem" and "SHARED_MEMORY_GROUPS" in found["text"]
    assert "user_api_scopes" in found["command"]


def test_any_scope_is_enough_for_groups_that_share_memories(
    workspace: Workspace, project: Path
) -> None:
    shares_with(project, "analysts")
    asks_for(project, "sql")
    deployed(workspace, "sql")
    assert [found["state"] for found in scopes(project)] == ["ok"]


def test_a_scope_that_was_never_deployed_is_a_problem(workspace: Workspace, project: Path) -> None:
    asks_for(project, "genie", "sql")
    deployed(workspace, "sql")
    [found] = scopes(project)
    assert (found["state"], found["command"]) == ("problem", DEPLOY)
    assert "genie" in found["text"] and "sql" not in found["text"]


def test_a_scope_that_was_not_granted_is_a_problem(workspace: Workspace, project: Path) -> None:
    asks_for(project, "genie", "sql")
    deployed(workspace, "genie", "sql", granted=["sql"])
    [found] = scopes(project)
    assert found["state"] == "problem" and "was not granted" in found["text"]
    assert "administrator" in found["command"] and DEPLOY in found["command"]


def test_an_older_name_of_a_scope_is_the_same(workspace: Workspace, project: Path) -> None:
    uses(project, GENIE)
    asks_for(project, "dashboards.genie")
    deployed(workspace, "dashboards.genie", granted=["genie"])
    assert [found["state"] for found in scopes(project)] == ["ok"]


def test_a_workspace_without_user_authorization_is_a_problem(
    workspace: Workspace, project: Path
) -> None:
    asks_for(project, "genie")
    workspace.content.app_scopes = []
    [found] = scopes(project)
    assert found["state"] == "problem" and "off in this workspace" in found["text"]
    assert "administrator" in found["command"]


def test_a_scope_that_the_workspace_does_not_allow_is_a_problem(
    workspace: Workspace, project: Path
) -> None:
    asks_for(project, "genie", "sql")
    workspace.content.app_scopes = ["sql"]
    [found] = scopes(project)
    assert found["state"] == "problem" and found["text"].endswith("no app genie")


@pytest.mark.parametrize("refuse", ["forbidden", "missing"])
def test_settings_that_one_may_not_read_are_no_problem(
    workspace: Workspace, project: Path, refuse: str
) -> None:
    asks_for(project, "genie")
    deployed(workspace, "genie")
    getattr(workspace.faults, refuse)("/api/2.1/settings")
    assert [found["state"] for found in scopes(project)] == ["ok"]


def test_an_app_that_is_sent_no_tokens_is_a_warning(workspace: Workspace, project: Path) -> None:
    asks_for(project, "genie")
    deployed(workspace, "genie")
    workspace.content.apps[APP].forwards = False
    [found] = scopes(project)
    assert found["state"] == "warning" and "not sent the tokens" in found["text"]


def test_before_the_first_deployment_it_says_what_will_be_asked(
    workspace: Workspace, project: Path
) -> None:
    asks_for(project, "genie")
    workspace.content.apps.clear()
    [found] = scopes(project)
    assert found["state"] == "skipped" and "genie" in found["text"]


def test_a_scope_of_one_target_is_for_that_one(workspace: Workspace, project: Path) -> None:
    asks_for(project, "sql")
    bundle = project / "databricks.yml"
    name = "          name: ${var.app_name}\n          # Another"
    assert name in bundle.read_text()
    more = f"          user_api_scopes: [genie]\n{name}"
    bundle.write_text(bundle.read_text().replace(name, more))
    deployed(workspace, "sql", "genie")
    [found] = scopes(project)
    assert found["state"] == "ok" and "sql, genie" in found["text"]


def test_tools_that_are_not_python_are_said_so(workspace: Workspace, project: Path) -> None:
    uses(project, "def (")
    [found] = scopes(project)
    assert found["state"] == "skipped" and "not Python" in found["text"]
