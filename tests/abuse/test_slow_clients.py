"""Clients that send half of something, or do not read what they asked for."""

import time

import pytest

from tests.abuse.honest_user import assert_memory_returns, honest_user, memory_of
from tests.abuse.raw import BODY, answer, ask, connect, crowd, head
from tests.standins.model import StandinModel
from tests.support.project import Project, Server

pytestmark = pytest.mark.generated
# For what no framework has a part in.
once = pytest.mark.parametrize("agent", ["langgraph"], indirect=True)
WHOLE = 4 * 2**20  # bytes
LARGE = f"Content-Length: {WHOLE}"
HALF = b" " * (WHOLE - 1000)
ASKED = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_half_sent_bodies_neither_fill_the_memory_nor_lock_others_out(server: Server) -> None:
    server.ask("hello")
    idle = memory_of(server)
    sent = (head(LARGE, "X-Forwarded-User: eve"), HALF)
    with honest_user(server) as honest:
        with crowd(server, 300, *sent) as connections:
            most = memory_of(server)
            statuses = [answer(c)[0] for c in connections[-30:]]
        time.sleep(1)
    assert most < idle + 128 * 2**20
    assert set(statuses) == {429}
    assert {turn.status_code for turn in honest.turns} == {200}
    assert_memory_returns(server, idle)


@once
def test_bodies_of_many_users_have_a_bound_together(agent: Project, database: str) -> None:
    with Server(agent, DATABASE_URL=database, BODY_BYTES_PER_PROCESS="8388608") as server:
        server.until_ready()
        heads = [head(LARGE, f"X-Forwarded-User: u{n}") for n in range(4)]
        held = [connect(server, h, HALF) for h in heads[:2]]
        time.sleep(0.5)
        status, text = ask(server, heads[3], HALF)
        assert status == 503 and "retry-after: 1" in text.lower()
        for connection in held:
            connection.close()
        assert server.post("x" * 3_000_000).status_code == 200


@once
def test_what_does_not_arrive_in_time_ends_its_connection(agent: Project, database: str) -> None:
    limits = {"BODY_SECONDS": "1", "HEAD_SECONDS": "1", "DATABASE_URL": database}
    with Server(agent, **limits) as server:
        server.until_ready()
        status, text = ask(server, head("Content-Length: 100"), b"{")
        assert status == 408 and "connection: close" in text.lower()
        assert ask(server, b"GET /health HTT") == (0, "")
        assert ask(server) == (0, "")
        assert ask(server, ASKED, b"G")[1].count("HTTP/") == 1


@once
def test_half_sent_heads_keep_nobody_out(agent: Project, database: str) -> None:
    with Server(agent, DATABASE_URL=database, CONNECTIONS_WAITING="50") as server:
        server.until_ready()
        with honest_user(server) as honest, crowd(server, 300, b"GET /health HTT"):
            time.sleep(2)
    assert {turn.status_code for turn in honest.turns} == {200}


@once
def test_a_reader_who_stops_reading_is_left(
    agent: Project, database: str, model: StandinModel
) -> None:
    body = b'{"input": "hello", "stream": true}'
    settings = {"UNREAD_SECONDS": "1", "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
    with Server(agent, DATABASE_URL=database, **settings) as server:
        server.until_ready()
        model.says = "x" * 3_000_000  # several times, in the events of a stream
        reader = connect(server, head(f"Content-Length: {len(body)}", "Connection: close"), body)
        time.sleep(6)
        model.says = None
        _, text = answer(reader)
    assert "response.created" in text and "[DONE]" not in text


@once
def test_requests_that_do_not_wait_for_answers_hold_up_nobody(
    server: Server, model: StandinModel
) -> None:
    server.ask("hello")
    idle, model.delay = memory_of(server), 1
    sent = head(f"Content-Length: {len(BODY)}", "X-Forwarded-User: eve"), BODY + ASKED * 6000
    with honest_user(server), crowd(server, 60, *sent):
        time.sleep(1)
        assert memory_of(server) < idle + 64 * 2**20
    assert_memory_returns(server, idle)


@once
def test_a_few_requests_may_be_sent_at_once(server: Server) -> None:
    last = ASKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert ask(server, ASKED * 8 + last)[1].count("HTTP/1.1 200 OK") == 9
