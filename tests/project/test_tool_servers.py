"""Tools of MCP servers: a server that fails costs only its own calls."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.conftest import Renders
from tests.standins.tool_server import StandinToolServer, open_tool_server, sign
from tests.support.project import Project, Server, install
from tests.support.rendering import FRAMEWORKS, Combination, render

pytestmark = pytest.mark.generated
SERVERS = """

import os

from agent_server.mcp_servers import Mcp
{imported}
MCP_SERVERS {begin}
    Mcp("docs", os.environ["DOCS"]),
    Mcp("notes", os.environ["NOTES"], headers={{"Authorization": "Bearer of-notes"}}),
    {more}
]
"""
# As projects of earlier releases have it.
OF_THE_SDK = 'MCPServerStreamableHttp({"url": os.environ["OLD"]}, name="old"),'
AWAY = "can't be reached now"


@pytest.fixture(scope="module", params=FRAMEWORKS)
def project(
    request: pytest.FixtureRequest, renders: Renders, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """Return an installed project that uses tool servers."""
    folder = tmp_path_factory.mktemp("tools") / "my-agent"
    render(renders.template, Combination(request.param, ("short_term",), "local"), folder)
    more = OF_THE_SDK if request.param == "openai" else ""
    imported = "from agents.mcp import MCPServerStreamableHttp" if more else ""
    with (folder / "agent_server" / "tools.py").open("a") as tools:
        tools.write(SERVERS.format(imported=imported, begin="+= [", more=more))
    return install(folder, tmp_path_factory.mktemp("environment"))


class Tools:
    """The servers, which a test stops and starts."""

    def __init__(self) -> None:
        self.docs, self.notes, self.old = (StandinToolServer(free()) for _ in range(3))
        self._running: dict[int, ExitStack] = {}
        for name in ("docs", "notes", "old"):
            self.start(name)

    @property
    def variables(self) -> dict[str, str]:
        """What leads a project to them, without long waits."""
        places = {name.upper(): getattr(self, name).url for name in ("docs", "notes", "old")}
        return {**places, "MCP_TIMEOUT_SECONDS": "2", "MCP_RETRY_SECONDS": "1"}

    def start(self, name: str) -> None:
        """Start a server where it was."""
        standin = getattr(self, name)
        stack = self._running[standin.port] = ExitStack()
        stack.enter_context(open_tool_server(name, standin.port, standin))

    def stop(self, name: str) -> None:
        """Stop a server."""
        if stack := self._running.pop(getattr(self, name).port, None):
            stack.close()

    def restore(self) -> None:
        """Let all of them run and behave."""
        for name in ("docs", "notes", "old"):
            getattr(self, name).reset()
            if getattr(self, name).port not in self._running:
                self.start(name)


def free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def all_tools() -> Iterator[Tools]:
    """Yield running servers."""
    tools = Tools()
    yield tools
    for name in ("docs", "notes", "old"):
        tools.stop(name)


@pytest.fixture(scope="module")
def server(project: Project, all_tools: Tools) -> Iterator[Server]:
    """Yield a running agent."""
    with Server(project, **all_tools.variables) as server:
        yield server.until_ready()


@pytest.fixture
def tools(all_tools: Tools, server: Server) -> Iterator[Tools]:
    """Yield the servers, all of them in use; afterwards they behave again."""
    until(lambda: degraded(server) == [])
    yield all_tools
    all_tools.restore()


def degraded(server: Server) -> list[str]:
    answer = server.http.get("/ready")
    assert answer.status_code == 200, answer.text
    found: list[str] = answer.json().get("degraded", [])
    return found


def until(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_tool_is_called_with_the_headers_of_its_server(server: Server, tools: Tools) -> None:
    assert "docs was called by nobody" in server.ask("/call caller")
    assert f"notes was called by {sign('of-notes')}" in server.ask("/call notes_caller")


def test_a_warm_call_is_one_request(server: Server, tools: Tools) -> None:
    server.ask("/call caller")
    before = len(tools.docs.requests)
    server.ask("/call caller")
    assert len(tools.docs.requests) == before + 1


def test_a_name_that_is_taken_gets_the_name_of_its_server(server: Server, tools: Tools) -> None:
    assert "noon" not in server.ask("/call get_current_time")
    assert "docs says noon" in server.ask("/call docs_get_current_time")
    assert "notes says noon" in server.ask("/call notes_get_current_time")


def test_what_a_tool_says_of_its_failure_is_for_the_model(server: Server, tools: Tools) -> None:
    assert "the shelf is empty" in server.ask("/call fail")
    assert degraded(server) == []


@pytest.mark.parametrize(
    ("status", "said"), [(401, "docs refuses (HTTP 401)"), (500, "docs failed (HTTP 500)")]
)
def test_a_server_that_refuses_costs_its_call_a_sentence(
    server: Server, tools: Tools, status: int, said: str
) -> None:
    tools.docs.status = status
    assert said in server.ask("/call caller")
    assert degraded(server) == ["docs"]
    assert "notes was called" in server.ask("/call notes_caller")


@pytest.mark.parametrize("tool", ["wait", "dawdle"])
def test_a_slow_server_costs_its_call_a_sentence(server: Server, tools: Tools, tool: str) -> None:
    said = server.ask(f'/call {tool} {{"seconds": 9}}')
    assert "docs did not answer within 2 seconds" in said


def test_a_server_that_stops_costs_no_other_turn(server: Server, tools: Tools) -> None:
    tools.stop("docs")
    assert AWAY in server.ask("/call caller")
    assert degraded(server) == ["docs"]
    began = time.monotonic()
    assert server.post("hello").status_code == 200
    assert time.monotonic() - began < 5


def test_a_server_that_comes_back_is_used_again(server: Server, tools: Tools) -> None:
    tools.stop("docs")
    server.ask("/call caller")
    tools.start("docs")
    until(lambda: degraded(server) == [])
    assert "docs was called by nobody" in server.ask("/call caller")


def test_a_call_that_is_cancelled_hurts_no_later_one(server: Server, tools: Tools) -> None:
    body = {"input": '/call wait {"seconds": 1.5}'}
    with pytest.raises(httpx.ReadTimeout):
        server.http.post("/responses", json=body, timeout=0.7)
    assert "docs was called by nobody" in server.ask("/call caller")


def test_servers_that_are_away_at_the_start_keep_nobody_waiting(project: Project) -> None:
    tools = Tools()
    for name in ("docs", "notes", "old"):
        tools.stop(name)
    with Server(project, **tools.variables) as server:
        assert server.until_ready().post("hello").status_code == 200
        until(lambda: {"docs", "notes"} <= {*degraded(server)})
        tools.restore()
        until(lambda: degraded(server) == [])
        assert "docs was called by nobody" in server.ask("/call caller")
    for name in ("docs", "notes", "old"):
        tools.stop(name)


def test_a_server_that_lists_its_tools_late_keeps_nobody_waiting(project: Project) -> None:
    tools = Tools()
    tools.docs.delay = 12
    patience = {"MCP_LIST_SECONDS": "1", "MCP_TIMEOUT_SECONDS": "30"}
    with Server(project, **{**tools.variables, **patience}) as server:
        server.until_ready()
        began = time.monotonic()
        assert server.post("hello").status_code == 200
        assert time.monotonic() - began < 6
    for name in ("docs", "notes", "old"):
        tools.stop(name)


@pytest.mark.parametrize("project", ["openai"], indirect=True)
def test_a_server_of_the_sdk_lasts_through_its_restart(server: Server, tools: Tools) -> None:
    tools.stop("old")
    assert server.post("hello").status_code == 200
    tools.start("old")
    until(lambda: degraded(server) == [])
    assert "old was called by nobody" in server.ask("/call old_caller")
