"""A generated project on Lakebase, in a stand-in workspace, through the real clients."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Literal

import httpx
import pytest

from tests.conftest import Projects
from tests.standins.workspace import (
    APP,
    APP_PRINCIPAL,
    BRANCH,
    ENDPOINT_PATH,
    INSTANCE,
    PROJECT,
    Workspace,
    open_workspace,
)
from tests.standins.workspace.tracing_api import AZURE, LAKE, S3
from tests.support.on_lakebase import ENDPOINT, serve
from tests.support.project import Project, Server

pytestmark = [
    pytest.mark.generated,
    pytest.mark.skipif(sys.platform != "linux", reason="needs addresses of the loopback"),
]
NAME = "What is my name?"
BOTH = {"LAKEBASE_AUTOSCALING_PROJECT": PROJECT, "LAKEBASE_AUTOSCALING_BRANCH": BRANCH}
PLACES = {
    "endpoint": ENDPOINT,
    "branch": BOTH,
    "both": {**ENDPOINT, **BOTH},
    "instance": {"LAKEBASE_INSTANCE_NAME": INSTANCE},
}
TRACED = {"MLFLOW_EXPERIMENT_ID": "1001", "MLFLOW_ASYNC_TRACE_LOGGING_MAX_INTERVAL_MILLIS": "100"}
CONTRADICTIONS = [
    {**ENDPOINT, "LAKEBASE_AUTOSCALING_PROJECT": "billing"},
    {**ENDPOINT, "LAKEBASE_AUTOSCALING_BRANCH": "test"},
    {**ENDPOINT, "LAKEBASE_INSTANCE_NAME": INSTANCE},
    {"LAKEBASE_AUTOSCALING_PROJECT": PROJECT, "LAKEBASE_INSTANCE_NAME": INSTANCE},
]
CHAT, START_CALLS = "/serving-endpoints/chat/completions", 5
DISCOVERY = "/.well-known/"  # of how to sign in
GRANT = "scripts/grant_lakebase_permissions.py"
RESOLVE, MINT = "/api/2.0/postgres/projects", "/api/2.0/postgres/credentials"
# As the docs of Lakebase say it.
REFUSALS = {
    RESOLVE: f"Unable to resolve Lakebase instance '{ENDPOINT_PATH}'",
    MINT: f"Failed to connect to Lakebase instance '{ENDPOINT_PATH}': the workspace did not issue",
}


# For what no framework has a part in: where the database is, and how a start goes on.
once = pytest.mark.parametrize("framework", ["langgraph"], indirect=True)
# Each framework keeps its memory in both flavours; which variables name one is not its concern.
PLACED = [
    *product(("langgraph", "openai"), ("endpoint", "instance")),
    pytest.param("langgraph", "branch", marks=pytest.mark.long),
    pytest.param("langgraph", "both", marks=pytest.mark.long),
]


@pytest.fixture(scope="module", params=["langgraph", "openai"])
def framework(request: pytest.FixtureRequest) -> str:
    """Return each framework."""
    return str(request.param)


@pytest.fixture(scope="module")
def project(projects: Projects, framework: str) -> Project:
    """Return an installed project."""
    return projects(framework)


@pytest.fixture(scope="module")
def served(framework: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Yield a workspace with a database."""
    with open_workspace(tmp_path_factory.mktemp(framework)) as workspace:
        yield workspace


@pytest.fixture(scope="module")
def server(project: Project, served: Workspace) -> Iterator[Server]:
    """Yield a running server."""
    with serve(project, served) as server:
        yield server.until_ready()


@pytest.fixture
def workspace(served: Workspace) -> Iterator[Workspace]:
    """Yield that workspace, with nothing broken."""
    yield served
    served.faults.clear()
    served.database.asleep()


def serve_deployed(project: Project, workspace: Workspace, **more: str) -> Server:
    """Start a server as Databricks Apps does, as the app's service principal."""
    name, secret = workspace.identities.add_service_principal(APP_PRINCIPAL)
    signed_in = {"DATABRICKS_CLIENT_ID": name, "DATABRICKS_CLIENT_SECRET": secret}
    deployed = {"DATABRICKS_HOST": workspace.url, "DATABRICKS_APP_NAME": APP, **signed_in}
    return Server(project, **deployed, **ENDPOINT, **more)


@pytest.mark.parametrize(("framework", "place"), PLACED, indirect=["framework"])
def test_memory_on_lakebase_survives_a_restart(
    project: Project, workspace: Workspace, place: str
) -> None:
    with serve(project, workspace, PLACES[place]) as server:
        server.until_ready().ask("My name is Ada", "t", place)
        server.ask("Remember that I like teal", user=place)
    with serve(project, workspace, PLACES[place]) as server:
        assert "Ada" in server.until_ready().ask(NAME, "t", place)
        assert "teal" in server.ask("What do you know about me?", user=place)


@once
def test_an_instance_can_be_named_by_its_host(project: Project, workspace: Workspace) -> None:
    host = {"LAKEBASE_INSTANCE_NAME": workspace.database.host}
    with serve(project, workspace, host) as server:
        assert _tried(server).status_code == 200


def test_a_start_makes_few_calls_to_the_workspace(project: Project, workspace: Workspace) -> None:
    before = len(workspace.requests)
    with serve(project, workspace) as server:
        server.until_ready()
        calls = [call.path for call in workspace.requests[before:]]
    asked = [path for path in calls if not path.startswith(DISCOVERY)]
    assert len(asked) <= START_CALLS, calls
    assert asked.count(MINT) <= 2  # /ready may ask while the look for runs holds a connection


def test_a_turn_calls_only_the_model(server: Server, workspace: Workspace) -> None:
    server.ask("hello", "little")
    before = len(workspace.requests)
    server.ask("hello", "little")
    assert {call.path for call in workspace.requests[before:]} == {CHAT}


def test_a_slow_workspace_blocks_no_request(project: Project, workspace: Workspace) -> None:
    # Longer than imports hold the server up.
    workspace.faults.slow(8, DISCOVERY)
    with serve(project, workspace) as server:
        _until(lambda: "Uvicorn running" in server.log)
        slowest = 0.0
        while (response := server.http.get("/ready")).status_code != 200:
            slowest = max(slowest, response.elapsed.total_seconds())
            time.sleep(0.05)
    assert max(slowest, response.elapsed.total_seconds()) < 6


def test_a_deployed_app_owns_its_schema(project: Project, workspace: Workspace) -> None:
    with serve_deployed(project, workspace) as server:
        server.until_ready().ask("My name is Ada", "t")
    with workspace.database.admin() as admin:
        owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'my_agent'"
        assert admin.execute(owners).fetchall() == [(APP_PRINCIPAL,)]


@once
def test_a_developer_has_a_schema_of_their_own_by_default(
    project: Project, workspace: Workspace
) -> None:
    unset = {"LAKEBASE_AGENT_MEMORY_SCHEMA": "", "USER": "Ada.L"}
    before = _schemas(workspace)
    with serve(project, workspace, {**ENDPOINT, **unset}) as server:
        server.until_ready().ask("hello")
    assert _schemas(workspace) - before == {"my_agent_dev_ada_l"}


def test_an_app_can_use_a_developers_tables_once_they_are_granted(
    project: Project, workspace: Workspace
) -> None:
    with serve(project, workspace) as server:
        server.until_ready().ask("My name is Ada", "granted")
    place = {"LAKEBASE_AGENT_MEMORY_SCHEMA": "developers"}
    with serve_deployed(project, workspace, **place) as server:
        reason = _tried(server).json()["error"]["message"]
        assert reason.startswith("permission denied for table") and GRANT in reason
    options = (APP_PRINCIPAL, "--schema", "developers", "--autoscaling-endpoint", ENDPOINT_PATH)
    grant = project.start("python", GRANT, *options, variables=workspace.variables())
    assert grant.wait(60) == 0
    with serve_deployed(project, workspace, **place) as server:
        assert "Ada" in server.until_ready().ask(NAME, "granted")


def test_expired_tokens_break_nothing(server: Server, workspace: Workspace) -> None:
    server.ask("My name is Ada", "old")
    workspace.identities.expire()
    workspace.database.drop()
    assert "Ada" in server.ask(NAME, "old")


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_turns_continue_after_the_database_restarts(
    server: Server, workspace: Workspace, how: Literal["fast", "immediate"]
) -> None:
    server.ask("My name is Ada", how)
    workspace.database.restart(how)
    assert "Ada" in server.ask(NAME, how)
    assert "the database has slept or was restarted" in server.log


def test_the_very_next_turn_after_an_idle_restart_works_whatever_the_pool_holds(
    server: Server, workspace: Workspace
) -> None:
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda n: server.ask("hello", user=f"crowd{n}"), range(36)))
    workspace.database.restart()
    assert server.ask("hello")


def test_a_turn_is_a_503_while_the_database_is_away_and_works_again_afterwards(
    server: Server, workspace: Workspace
) -> None:
    server.ask("My name is Ada", "away")
    with workspace.database.away():
        assert server.post(NAME, "away").status_code == 503
    assert "Ada" in server.ask(NAME, "away")


def test_a_turn_is_a_503_while_no_token_is_available_and_works_again_afterwards(
    server: Server, workspace: Workspace
) -> None:
    workspace.faults.broken(MINT)
    workspace.identities.expire()
    workspace.database.drop()
    assert server.post("hello", "tokens").status_code == 503
    workspace.faults.clear()
    assert server.ask("hello", "tokens")


@once
def test_a_sleeping_database_only_delays_the_start(project: Project, workspace: Workspace) -> None:
    workspace.database.asleep(failures=2, seconds=2)
    with serve(project, workspace) as server:
        assert server.until_ready().ask("hello")


@once
@pytest.mark.parametrize(
    "how", ["forbidden", pytest.param("unauthenticated", marks=pytest.mark.long)]
)
@pytest.mark.parametrize("path", REFUSALS)
def test_a_start_waits_for_a_refusing_workspace_and_says_what_was_refused(
    project: Project, workspace: Workspace, path: str, how: str
) -> None:
    getattr(workspace.faults, how)(path)
    with serve(project, workspace) as server:
        reason = _tried(server)
        assert reason.status_code == 503
        assert REFUSALS[path] in reason.json()["error"]["message"]
        assert REFUSALS[path] in server.log
        workspace.faults.clear()
        assert server.until_ready().ask("hello")


@once
def test_a_start_says_when_the_database_refuses_its_login(
    project: Project, workspace: Workspace
) -> None:
    workspace.identities.credential_seconds = -1
    with serve(project, workspace) as server:
        reason = _tried(server).json()["error"]["message"]
        workspace.identities.credential_seconds = 3600
        assert "does not let us in" in reason
        assert server.until_ready().ask("hello")


@once
@pytest.mark.parametrize("both", CONTRADICTIONS, ids=" and ".join)
def test_variables_that_name_different_lakebases_are_refused(
    project: Project, both: dict[str, str]
) -> None:
    started = project.start("start-app", variables=both, stderr=-1)
    _, error = started.communicate(timeout=30)
    assert started.returncode == 2
    assert len(error.splitlines()) == 1, error
    for name, value in both.items():
        assert f"{name}={value!r}" in error


@once
@pytest.mark.parametrize("half", BOTH)
def test_a_project_without_a_branch_or_a_branch_without_a_project_is_refused(
    project: Project, half: str
) -> None:
    started = project.start("start-app", variables={half: BOTH[half]}, stderr=-1)
    _, error = started.communicate(timeout=30)
    assert started.returncode == 2
    assert all(name in error for name in BOTH) and BOTH[half] in error


@once
def test_a_server_that_waits_for_a_workspace_stops_promptly(
    project: Project, workspace: Workspace
) -> None:
    workspace.faults.dropped(RESOLVE)
    before = len(workspace.requests)
    with serve(project, workspace) as server:
        _until(lambda: RESOLVE in str(workspace.requests[before:]))
        server.process.send_signal(signal.SIGINT)
        try:
            _until(lambda: server.process.poll() is not None, 8)
        finally:
            server.process.kill()


def test_traces_reach_the_workspace(project: Project, workspace: Workspace) -> None:
    with serve(project, workspace, TRACED) as server:
        server.until_ready().ask("xylophone")
        _until(lambda: workspace.mlflow.about("xylophone"))
    [trace] = workspace.mlflow.about("xylophone")
    assert trace.experiment == TRACED["MLFLOW_EXPERIMENT_ID"]
    assert "CHAT_MODEL" in trace.kinds


@once
@pytest.mark.parametrize("storage, expired", [(AZURE, 0), (LAKE, 0), (S3, 1)])
def test_traces_reach_other_storage_and_addresses_that_expire(
    project: Project, workspace: Workspace, storage: str, expired: int
) -> None:
    workspace.mlflow.storage, workspace.mlflow.expired = storage, expired
    before, word = len(workspace.mlflow.traces), f"spinet in {storage}"
    with serve(project, workspace, TRACED) as server:
        server.until_ready().ask(word)
        _until(lambda: len(workspace.mlflow.traces) > before)
    assert len(workspace.mlflow.about(word)) == 1 and not workspace.mlflow.expired


@once
def test_a_trace_is_sent_without_signing_in_or_looking_up_the_workspace_again(
    project: Project, workspace: Workspace
) -> None:
    with serve(project, workspace, TRACED) as server:
        server.until_ready().ask("first viol")
        _until(lambda: workspace.mlflow.about("first viol"))
        before = len(workspace.requests)
        server.ask("second viol")
        _until(lambda: workspace.mlflow.about("second viol"))
        asked = str(workspace.requests[before:])
    assert "/mlflow/traces" in asked and DISCOVERY not in asked and "/token" not in asked


def _schemas(workspace: Workspace) -> set[str]:
    with workspace.database.admin() as admin:
        return {row[0] for row in admin.execute("SELECT nspname FROM pg_namespace")}


def _tried(server: Server) -> httpx.Response:
    """Return what /ready says after the first try."""
    _until(lambda: "ready" in server.log.replace("GET /ready", ""))
    return server.http.get("/ready")


def _until(true: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
