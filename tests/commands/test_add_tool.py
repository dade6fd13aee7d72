"""`lakebase-agent add-tool`: the line in tools.py, and the right to it in the bundle."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.commands.test_link import contents
from tests.conftest import Renders
from tests.standins.workspace import Workspace, open_workspace
from tests.standins.workspace.tools_api import (
    CONNECTION,
    FUNCTION,
    INDEX,
    OTHER_FUNCTION,
    SPACES,
)
from tests.support.commands import Done, run_here
from tests.support.rendering import FRAMEWORKS, Combination

TOOLS = Path("agent_server", "tools.py")


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """Yield a workspace that the environment leads to."""
    for name in [name for name in os.environ if name.startswith(("DATABRICKS_", "CI"))]:
        monkeypatch.delenv(name)
    with open_workspace() as workspace:
        for name, value in workspace.variables().items():
            monkeypatch.setenv(name, value)
        yield workspace


@pytest.fixture(params=FRAMEWORKS)
def project(request: pytest.FixtureRequest, renders: Renders, tmp_path: Path) -> Path:
    """Return a project on an autoscaling Lakebase."""
    folder = tmp_path / "my agent"
    shutil.copytree(renders[Combination(request.param, ("short_term",), "autoscaling")], folder)
    return folder


def add_tool(project: Path, *arguments: str) -> Done:
    """Run `add-tool` with nobody there to answer."""
    return run_here(project, "add-tool", *arguments)


def app(project: Path) -> dict[str, Any]:
    bundle = yaml.safe_load((project / "databricks.yml").read_text())
    [found] = bundle["resources"]["apps"].values()
    return dict(found)


def servers(project: Path) -> list[str]:
    nodes = ast.walk(ast.parse((project / TOOLS).read_text()))
    calls = [ast.unparse(node) for node in nodes if isinstance(node, ast.Call)]
    return [call for call in calls if call.startswith("Mcp(")]


class Case(NamedTuple):
    """A tool, and what the app needs to use it."""

    kind: str
    name: str
    path: str
    scope: str
    grants: list[dict[str, Any]]


def securable(kind: str, name: str, permission: str) -> dict[str, Any]:
    head = {"securable_full_name": name, "securable_type": kind}
    return {"uc_securable": {**head, "permission": permission}}


WAREHOUSE = {"sql_warehouse": {"id": "a1b2", "permission": "CAN_USE"}}
PEOPLE = {"name": SPACES[2]["title"], "space_id": "01f0cccc", "permission": "CAN_RUN"}
CASES = [
    Case("sql", "Starter", "sql", "sql", [WAREHOUSE]),
    Case("genie", "01f0cccc", "genie/01f0cccc", "genie", [{"genie_space": PEOPLE}]),
    Case(
        "vector-search", INDEX, "vector-search/main/docs/handbook", "vector-search",
        [securable("TABLE", INDEX, "SELECT")],
    ),
    Case(
        "functions", "main.tools", "functions/main/tools", "mcp.functions",
        [securable("FUNCTION", name, "EXECUTE") for name in (FUNCTION, OTHER_FUNCTION)],
    ),
    Case(
        "mcp", CONNECTION, "external/github", "mcp.external",
        [securable("CONNECTION", CONNECTION, "USE_CONNECTION")],
    ),
]  # fmt: skip
each_kind = pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)


@each_kind
def test_as_the_user_it_needs_a_scope_and_nothing_else(
    workspace: Workspace, project: Path, case: Case
) -> None:
    before = app(project)
    done = add_tool(project, case.kind, case.name, "--as-user", "--yes")
    assert done.returncode == 0, done.stderr
    assert app(project) == {**before, "user_api_scopes": [case.scope]}
    [server] = servers(project)
    assert f"'/api/2.0/mcp/{case.path}', as_user=True)" in server


@each_kind
def test_as_the_app_it_needs_a_resource_and_no_scope(
    workspace: Workspace, project: Path, case: Case
) -> None:
    before = app(project)["resources"]
    done = add_tool(project, case.kind, case.name, "--as-app", "--yes")
    assert done.returncode == 0, done.stderr
    assert "user_api_scopes" not in app(project)
    new = app(project)["resources"][len(before) :]
    names = [one.pop("name") for one in (*before, *new)]
    assert len(set(names)) == len(names) and new == case.grants
    [server] = servers(project)
    assert server.endswith(f"'/api/2.0/mcp/{case.path}')")


def test_a_second_run_changes_nothing(workspace: Workspace, project: Path) -> None:
    add_tool(project, "functions", "main.tools", "--as-app", "--yes")
    before = contents(project)
    assert "nothing changed" in add_tool(project, "functions", "main.tools", "--as-app").stdout
    assert contents(project) == before


def test_every_other_line_stays(workspace: Workspace, project: Path) -> None:
    old = {name: (project / name).read_text().splitlines() for name in ("databricks.yml", TOOLS)}
    add_tool(project, "genie", "01f0aaaa", "--as-user", "--yes")
    for name, lines in old.items():
        kept = (project / name).read_text().splitlines()
        assert [line for line in lines if line not in kept] in ([], [lines[-1]])


def test_the_project_stays_formatted(workspace: Workspace, project: Path) -> None:
    for space in ("01f0aaaa", "01f0bbbb", "01f0cccc"):
        add_tool(project, "genie", space, "--as-user", "--yes")
    assert len(servers(project)) == 3
    for check in (["format", "--check"], ["check"]):
        command = [str(Path(sys.executable).with_name("ruff")), *check, str(TOOLS)]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_nothing_is_written_without_a_yes(workspace: Workspace, project: Path) -> None:
    before = contents(project)
    done = add_tool(project, "sql", "Starter", "--as-user")
    assert done.returncode == 2 and "--yes" in done.stderr and "+" in done.stdout
    assert contents(project) == before


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["genii"], 2, "genie"),
        (["genie"], 2, "Sales (01f0aaaa)"),
        (["genie", "Sales", "--as-user"], 3, "Sales (01f0aaaa)"),
        (["genie", "01f0aaaa"], 2, "--as-user or --as-app"),
        (["functions", "tools", "--as-app"], 2, "CATALOG.SCHEMA"),
        (["functions", "main.docs", "--as-app"], 3, "no functions"),
        (["mcp", "rest", "--as-app"], 3, "github"),
    ],
    ids=str,
)
def test_what_does_not_work_is_said_in_a_line(
    workspace: Workspace, project: Path, arguments: list[str], code: int, says: str
) -> None:
    before = contents(project)
    done = add_tool(project, *arguments, "--yes")
    assert (done.returncode, contents(project)) == (code, before), done.stderr
    assert says in done.stderr and done.stderr.count("\n") == 1


def test_a_list_that_is_not_where_it_was_gets_its_line_printed(
    workspace: Workspace, project: Path
) -> None:
    code = (project / TOOLS).read_text().replace("MCP_SERVERS", "OURS")
    (project / TOOLS).write_text(code)
    done = add_tool(project, "sql", "Starter", "--as-user", "--yes")
    assert 'Mcp("sql", "/api/2.0/mcp/sql", as_user=True)' in done.stdout
    assert (project / TOOLS).read_text() == code and app(project)["user_api_scopes"] == ["sql"]
