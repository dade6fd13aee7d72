"""A generated project on Lakebase, in a stand-in workspace, through the real clients."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Literal

import httpx
import pytest

from tests.conftest import Renders
from tests.project import Project, Server
from tests.rendering import Combination
from tests.workspace import (
    APP,
    APP_PRINCIPAL,
    BRANCH,
    ENDPOINT_PATH,
    INSTANCE,
    PROJECT,
    Workspace,
    open_workspace,
)

pytestmark = [
    pytest.mark.generated,
    pytest.mark.skipif(sys.platform != "linux", reason="needs addresses of the loopback"),
]
Projects = Callable[[str, str], Project]
NAME = "What is my name?"
ENDPOINT = {"LAKEBASE_AUTOSCALING_ENDPOINT": ENDPOINT_PATH}
BOTH = {"LAKEBASE_AUTOSCALING_PROJECT": PROJECT, "LAKEBASE_AUTOSCALING_BRANCH": BRANCH}
PLACES = {
    "endpoint": ("autoscaling", ENDPOINT),
    "branch": ("autoscaling", BOTH),
    "instance": ("provisioned", {"LAKEBASE_INSTANCE_NAME": INSTANCE}),
}
TRACED = {"MLFLOW_EXPERIMENT_ID": "1001", "MLFLOW_ASYNC_TRACE_LOGGING_MAX_INTERVAL_MILLIS": "100"}
CHAT, START_CALLS = "/serving-endpoints/chat/completions", 7
DISCOVERY = "/.well-known/"
RESOLVE, MINT = "/api/2.0/postgres/projects", "/api/2.0/postgres/credentials"
REFUSALS = {RESOLVE: "Unable to resolve Lakebase", MINT: "Failed to obtain credential"}


@pytest.fixture(scope="module")
def projects(renders: Renders, tmp_path_factory: pytest.TempPathFactory) -> Projects:
    """Return what installs a project of a framework and a flavour of Lakebase, once."""

    @cache
    def install(framework: str, lakebase: str) -> Project:
        combination = Combination(framework, ("short_term", "long_term"), lakebase)
        environment = tmp_path_factory.mktemp("environments") / str(combination)
        project = Project(renders[combination], environment)
        project.uv("sync", "--quiet")
        return project

    return install


@pytest.fixture(scope="module", params=["langgraph", "openai"])
def framework(request: pytest.FixtureRequest) -> str:
    """Return each framework."""
    return str(request.param)


@pytest.fixture(scope="module")
def project(projects: Projects, framework: str) -> Project:
    """Return an installed project on autoscaling Lakebase."""
    return projects(framework, "autoscaling")


@pytest.fixture(scope="module")
def served(framework: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Yield a workspace with a database."""
    with open_workspace(tmp_path_factory.mktemp(framework)) as workspace:
        yield workspace


@pytest.fixture(scope="module")
def server(project: Project, served: Workspace) -> Iterator[Server]:
    """Yield a running server."""
    with _server(project, served) as server:
        yield server.until_ready()


@pytest.fixture
def workspace(served: Workspace) -> Iterator[Workspace]:
    """Yield that workspace, with nothing broken."""
    yield served
    served.faults.clear()
    served.database.asleep()


@pytest.mark.parametrize("place", PLACES)
def test_memory_on_lakebase_survives_a_restart(
    projects: Projects, framework: str, workspace: Workspace, place: str
) -> None:
    flavour, variables = PLACES[place]
    with _server(projects(framework, flavour), workspace, variables) as server:
        server.until_ready().ask("My name is Ada", "t", place)
        server.ask("Remember that I like teal", user=place)
    with _server(projects(framework, flavour), workspace, variables) as server:
        assert "Ada" in server.until_ready().ask(NAME, "t", place)
        assert "teal" in server.ask("What do you know about me?", user=place)


def test_an_instance_may_be_named_by_its_host(
    projects: Projects, framework: str, workspace: Workspace
) -> None:
    host = {"LAKEBASE_INSTANCE_NAME": workspace.database.host}
    with _server(projects(framework, "provisioned"), workspace, host) as server:
        assert _tried(server).status_code == 200


def test_a_start_asks_the_workspace_little(project: Project, workspace: Workspace) -> None:
    before = len(workspace.requests)
    with _server(project, workspace) as server:
        server.until_ready()
        assert len(workspace.requests) - before <= START_CALLS


def test_a_turn_asks_only_the_model(server: Server, workspace: Workspace) -> None:
    server.ask("hello", "little")
    before = len(workspace.requests)
    server.ask("hello", "little")
    assert {call.path for call in workspace.requests[before:]} == {CHAT}


def test_a_slow_workspace_stops_no_request(project: Project, workspace: Workspace) -> None:
    # Longer than imports hold the server up.
    workspace.faults.slow(8, DISCOVERY)
    with _server(project, workspace) as server:
        _until(lambda: "Uvicorn running" in server.log)
        slowest = 0.0
        while (response := server.http.get("/ready")).status_code != 200:
            slowest = max(slowest, response.elapsed.total_seconds())
            time.sleep(0.05)
    assert max(slowest, response.elapsed.total_seconds()) < 6


def test_a_deployed_app_owns_its_schema(project: Project, workspace: Workspace) -> None:
    name, secret = workspace.identities.add_service_principal(APP_PRINCIPAL)
    signed_in = {"DATABRICKS_CLIENT_ID": name, "DATABRICKS_CLIENT_SECRET": secret}
    deployed = {"DATABRICKS_HOST": workspace.url, "DATABRICKS_APP_NAME": APP, **signed_in}
    with Server(project, **deployed, **ENDPOINT) as server:
        server.until_ready().ask("My name is Ada", "t")
    with workspace.database.admin() as admin:
        owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'my_agent'"
        assert admin.execute(owners).fetchall() == [(APP_PRINCIPAL,)]


def test_tokens_that_are_too_old_break_nothing(server: Server, workspace: Workspace) -> None:
    server.ask("My name is Ada", "old")
    workspace.identities.expire()
    workspace.database.drop()
    assert "Ada" in server.ask(NAME, "old")


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_turns_go_on_after_a_restart_of_the_database(
    server: Server, workspace: Workspace, how: Literal["fast", "immediate"]
) -> None:
    server.ask("My name is Ada", how)
    workspace.database.restart(how)
    assert "Ada" in server.ask(NAME, how)


def test_while_the_database_is_away_turns_are_a_503_and_then_work_again(
    server: Server, workspace: Workspace
) -> None:
    server.ask("My name is Ada", "away")
    with workspace.database.away():
        assert server.post(NAME, "away").status_code == 503
    assert "Ada" in server.ask(NAME, "away")


def test_while_no_token_is_to_be_had_turns_are_a_503_and_then_work_again(
    server: Server, workspace: Workspace
) -> None:
    workspace.faults.broken(MINT)
    workspace.database.drop()
    assert server.post("hello", "tokens").status_code == 503
    workspace.faults.clear()
    assert server.ask("hello", "tokens")


def test_a_sleeping_database_only_delays_the_start(project: Project, workspace: Workspace) -> None:
    workspace.database.asleep(failures=2, seconds=2)
    with _server(project, workspace) as server:
        assert server.until_ready().ask("hello")


@pytest.mark.parametrize("path", REFUSALS)
def test_a_start_waits_for_a_workspace_that_refuses(
    project: Project, workspace: Workspace, path: str
) -> None:
    workspace.faults.forbidden(path)
    with _server(project, workspace) as server:
        assert _tried(server).status_code == 503
        assert REFUSALS[path] in server.log
        workspace.faults.clear()
        assert server.until_ready().ask("hello")


def test_a_workspace_that_refuses_is_the_reason_that_ready_gives(
    project: Project, workspace: Workspace
) -> None:
    workspace.faults.forbidden(RESOLVE)
    with _server(project, workspace) as server:
        assert "Lakebase" in _tried(server).json()["error"]["message"]


def test_a_server_that_waits_for_a_workspace_stops_within_its_patience(
    project: Project, workspace: Workspace
) -> None:
    workspace.faults.dropped(RESOLVE)
    before = len(workspace.requests)
    with _server(project, workspace) as server:
        _until(lambda: RESOLVE in str(workspace.requests[before:]))
        server.process.send_signal(signal.SIGINT)
        try:
            _until(lambda: server.process.poll() is not None, 40)
        finally:
            server.process.kill()


def test_traces_reach_the_workspace(project: Project, workspace: Workspace) -> None:
    with _server(project, workspace, TRACED) as server:
        server.until_ready().ask("xylophone")
        _until(lambda: workspace.mlflow.about("xylophone"))
    [trace] = workspace.mlflow.about("xylophone")
    assert trace.experiment == TRACED["MLFLOW_EXPERIMENT_ID"]
    assert "CHAT_MODEL" in trace.kinds


def _server(project: Project, workspace: Workspace, more: dict[str, str] | None = None) -> Server:
    named = any(name.startswith("LAKEBASE_") for name in more or {})
    variables = {**({} if named else ENDPOINT), **(more or {})}
    schema = {"LAKEBASE_AGENT_MEMORY_SCHEMA": "developers"}
    return Server(project, **workspace.variables(**variables, **schema))


def _tried(server: Server) -> httpx.Response:
    """Return what /ready says after the first try."""
    _until(lambda: "ready" in server.log.replace("GET /ready", ""))
    return server.http.get("/ready")


def _until(true: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
