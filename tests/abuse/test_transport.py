"""Hosts, framing and headers that are meant to hurt, and what must still work."""

import time

import httpx
import pytest

from tests.abuse.raw import BODY, ask, head
from tests.standins.model import StandinModel
from tests.support.project import Project, Server

pytestmark = pytest.mark.generated
# For what no framework has a part in.
once = pytest.mark.parametrize("agent", ["langgraph"], indirect=True)
PATHS = ("/", "/health", "/api/me/export", "/responses/resp_1", "/nowhere")
LENGTH = f"Content-Length: {len(BODY)}"
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
NEXT = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
AMBIGUOUS = [
    ([LENGTH, "Transfer-Encoding: chunked"], BODY),
    (["Transfer-Encoding: chunked", "Content-Length: 4"], CHUNKED),
    ([LENGTH, "Content-Length: 3"], BODY),
    (["Content-Length: 3, 18"], BODY),
    (["Content-Length: +18"], BODY),
    (["Content-Length: -1"], BODY),
    ([LENGTH, "Host: localhost"], BODY),
    (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], CHUNKED),
    (["Transfer-Encoding: chunked, identity"], CHUNKED),
    (["Transfer-Encoding: xchunked"], CHUNKED),
]


def _get(server: Server, path: str, host: str) -> httpx.Response:
    return server.http.get(path, headers={"Host": host})


@once
@pytest.mark.parametrize("path", PATHS)
def test_no_route_answers_to_a_foreign_name(server: Server, path: str) -> None:
    refused = _get(server, path, f"evil.example:{server.port}")
    assert refused.status_code == 421
    assert "'evil.example'" in refused.text and "ALLOWED_HOSTS" in refused.text


@once
@pytest.mark.parametrize("host", ["localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"])
def test_a_name_that_looks_local_is_foreign(server: Server, host: str) -> None:
    assert _get(server, "/health", host).status_code == 421


@once
@pytest.mark.parametrize(
    "host", ["", "localhost:x", "local host", "a@localhost", "[::1", "\x1b[2J"]
)
def test_a_malformed_host_is_refused(server: Server, host: str) -> None:
    status, _ = ask(server, head(LENGTH, host=host), BODY)
    assert status == 400


@once
@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "localhost.", "127.0.0.1:80", "127.8.8.8", "[::1]:8000"]
)
def test_a_local_name_is_answered(server: Server, host: str) -> None:
    assert _get(server, "/health", host).status_code == 200


@once
def test_a_foreign_name_deletes_nothing(server: Server) -> None:
    server.ask("hello", "kept", "grace")
    headers = {"Host": "evil.example", "X-Forwarded-User": "grace"}
    assert server.http.delete("/api/me", headers=headers).status_code == 421
    assert "hello" in server.ask("What did I say?", "kept", "grace")


@once
def test_a_request_without_a_host_is_refused(server: Server) -> None:
    for version in ("1.0", "1.1"):
        line = f"GET /health HTTP/{version}\r\n\r\n".encode()
        assert ask(server, line)[0] == 400


@once
def test_a_server_answers_to_the_names_it_is_given(agent: Project, database: str) -> None:
    names = {"ALLOWED_HOSTS": "agent.example, *.dev.example", "DATABASE_URL": database}
    with Server(agent, "--host", "0.0.0.0", **names) as server:
        server.until_ready()
        for host in ("agent.example:80", "AGENT.example.", "a.dev.example", "127.0.0.1", "0.0.0.0"):
            assert _get(server, "/health", host).status_code == 200, host
        for host in ("evil.example", "evil.agent.example", "dev.example"):
            assert _get(server, "/health", host).status_code == 421, host


@once
def test_a_deployed_app_leaves_the_names_to_the_platform(agent: Project) -> None:
    settings = {"DATABRICKS_APP_NAME": "a", "LAKEBASE_INSTANCE_NAME": "i"}
    with Server(agent, **settings) as server:
        deadline = time.monotonic() + 30
        while "Uvicorn running" not in server.log and time.monotonic() < deadline:
            time.sleep(0.1)
        assert _get(server, "/health", "my-agent.databricksapps.com").status_code == 200


@once
@pytest.mark.parametrize(("lines", "body"), AMBIGUOUS)
def test_a_request_that_can_be_read_in_two_ways_is_refused(
    server: Server, lines: list[str], body: bytes
) -> None:
    status, text = ask(server, head(*lines), body, NEXT)
    assert status == 400 and "connection: close" in text.lower()
    assert text.count("HTTP/1.1 ") == 1  # the second request is not answered


@once
@pytest.mark.parametrize(
    ("line", "body"), [(LENGTH, BODY), ("Transfer-Encoding: chunked", CHUNKED)]
)
def test_either_way_to_send_a_body_works(server: Server, line: str, body: bytes) -> None:
    assert ask(server, head(line, "Connection: close"), body)[0] == 200


@once
@pytest.mark.parametrize("header", ["X-Forwarded-User", "X-Forwarded-Email", "X-Request-Id", "A"])
def test_nothing_raw_reaches_the_log(server: Server, model: StandinModel, header: str) -> None:
    model.status = 500
    evil = f"{header}: eve\x1b[2J\x9b1m\x85forged"
    ask(server, head(LENGTH, "Connection: close", evil, path="/responses?\x1b[2J"), BODY)
    ask(server, head(LENGTH, "Connection: close", evil), BODY)
    model.status = 200
    assert not [c for c in server.log if not c.isprintable() and c != "\n"]


@once
@pytest.mark.parametrize("header", ["X-Forwarded-User", "X-Forwarded-Email"])
def test_a_user_with_control_characters_is_nobody(server: Server, header: str) -> None:
    status, text = ask(server, head(LENGTH, f"{header}: eve\tadmin", "Connection: close"), BODY)
    assert status == 401 and "malformed_identity" in text
    # No header may hold others (RFC 9110, 5.5).
    assert ask(server, head(LENGTH, f"{header}: eve\x1b[2J", "Connection: close"), BODY)[0] == 400
