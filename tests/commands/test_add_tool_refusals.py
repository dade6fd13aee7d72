"""`lakebase-agent add-tool`: what a workspace refuses, hides, or has on a second page."""

from pathlib import Path

import pytest

from tests.commands.test_link import contents
from tests.standins.workspace import Workspace
from tests.standins.workspace.tools_api import OTHER_INDEXES, SPACES
from tests.support.commands import Done, run_here

KINDS = {
    "genie": "/api/2.0/genie/spaces",
    "vector-search": "/api/2.0/vector-search/endpoints",
    "functions": "/api/2.1/unity-catalog/schemas",
    "sql": "/api/2.0/sql/warehouses",
    "mcp": "/api/2.1/unity-catalog/connections",
}
TOOLS = Path("agent_server", "tools.py")


def add_tool(project: Path, *arguments: str) -> Done:
    """Run `add-tool` with nobody there to answer, as the user."""
    return run_here(project, "add-tool", *arguments, "--as-user", "--yes")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("refuse", "says"),
    [
        ("forbidden", "no permission"),
        ("missing", "refused"),
        ("unauthenticated", "databricks auth login"),
        ("disabled", "Ask an administrator"),
    ],
)
def test_a_list_that_is_refused_is_said_in_a_line_and_nothing_is_written(
    workspace: Workspace, project: Path, kind: str, refuse: str, says: str
) -> None:
    getattr(workspace.faults, refuse)(KINDS[kind])
    before = contents(project)
    done = add_tool(project, kind, "main.tools")
    assert (done.returncode, contents(project)) == (3, before)
    assert says in done.stderr and done.stderr.count("\n") == 1


def test_a_workspace_that_is_busy_for_a_moment_is_asked_again(
    workspace: Workspace, project: Path
) -> None:
    workspace.faults.limited(KINDS["sql"], times=1)
    assert add_tool(project, "sql", "Starter").returncode == 0


def test_a_workspace_that_stays_busy_is_said_to_be(workspace: Workspace, project: Path) -> None:
    workspace.faults.limited(KINDS["sql"], retry_after=1)
    before = contents(project)
    done = add_tool(project, "sql", "Starter")
    assert (done.returncode, contents(project)) == (3, before)
    assert "limits requests" in done.stderr


def test_a_second_page_that_is_refused_writes_nothing(workspace: Workspace, project: Path) -> None:
    workspace.faults.forbidden_later(KINDS["genie"], 1)
    before = contents(project)
    done = add_tool(project, "genie", SPACES[0]["space_id"])
    assert (done.returncode, contents(project)) == (3, before)


def test_an_index_behind_an_endpoint_that_one_may_not_use_is_found(
    workspace: Workspace, project: Path
) -> None:
    done = add_tool(project, "vector-search", OTHER_INDEXES[1])
    assert done.returncode == 0, done.stderr
    assert '"/api/2.0/mcp/vector-search/raw-data/my%20docs/notes"' in (project / TOOLS).read_text()


def test_indexes_that_are_all_refused_are_said_to_be(workspace: Workspace, project: Path) -> None:
    workspace.faults.forbidden("/api/2.0/vector-search/indexes")
    done = add_tool(project, "vector-search", "main.docs.faq")
    assert done.returncode == 3 and "no permission" in done.stderr


def test_what_is_last_of_all_pages_can_be_picked(workspace: Workspace, project: Path) -> None:
    done = add_tool(project, "genie", SPACES[-1]["title"])
    assert done.returncode == 0, done.stderr
    again = add_tool(project, "genie", SPACES[-1]["title"])
    assert "nothing changed" in again.stdout


def test_code_that_is_not_python_is_said_so_with_its_line(
    workspace: Workspace, project: Path
) -> None:
    (project / TOOLS).write_text("x = 1\ndef (\n")
    before = contents(project)
    done = add_tool(project, "sql", "Starter")
    assert (done.returncode, contents(project)) == (2, before)
    assert "agent_server/tools.py:2 is not Python" in done.stderr
