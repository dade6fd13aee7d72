"""What the server says of itself while its database is in trouble, and afterwards."""

import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.abuse.faults import Database
from tests.standins.model import StandinModel
from tests.standins.tcp_proxy import Proxy, open_proxy
from tests.support.background_project import begin, read
from tests.support.project import Project, Server

pytestmark = pytest.mark.generated
once = pytest.mark.parametrize("agent", ["langgraph"], indirect=True)

READY_SECONDS = 2
NOISE_SECONDS = 1.5
LOCK_SECONDS = 2
# Short, so that the tests are.
LIMITS = {
    "STATEMENT_SECONDS": "4", "LOCK_SECONDS": str(LOCK_SECONDS), "ANSWER_SECONDS": "2",
    "CONNECT_SECONDS": "3", "SAVE_SECONDS": "2",
}  # fmt: skip
Fault = Callable[[Database], AbstractContextManager[None]]
FAULTS: dict[str, tuple[Fault, str, str]] = {
    "read-only": (Database.read_only, "read-only", "database_read_only"),
    "no table": (lambda d: d.without_table("turn_leases"), "turn_leases", "database_schema"),
    "no column": (
        lambda d: d.without_column("turn_leases", "owner"), "turn_leases", "database_schema"
    ),
    "no privilege": (
        lambda d: d.without_privilege("turn_leases"), "permission denied", "database_permission"
    ),
    "locked": (lambda d: d.locked("turn_leases"), "turn_leases", "database_locked"),
    "a chat's table locked": (lambda d: d.locked("messages"), "messages", ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def database(agent: Project) -> Iterator[Database]:
    """Yield a Postgres, for its administrator."""
    with agent.open_database() as url:
        yield Database(url)


@pytest.fixture(scope="module")
def proxy(database: Database) -> Iterator[Proxy]:
    """Yield the way to that database."""
    with open_proxy(urlsplit(database.url).port or 5432) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def server(
    agent: Project, database: Database, proxy: Proxy, model: StandinModel
) -> Iterator[Server]:
    """Yield a server whose limits are short."""
    with serve(agent, database.app_url(proxy.port), model) as server:
        yield server


@pytest.fixture(autouse=True)
def calm(server: Server) -> None:
    """Let every test start with a server that is ready, without a restart."""
    until_ready(server)


@once
@pytest.mark.parametrize("name", FAULTS)
def test_ready_names_what_a_turn_would_fail_at(
    server: Server, database: Database, name: str
) -> None:
    fault, part, _ = FAULTS[name]
    with fault(database):
        assert part in not_ready(server)
    until_ready(server)


@once
@pytest.mark.parametrize("name", [name for name in FAULTS if FAULTS[name][2]])
def test_a_turn_names_what_it_failed_at(server: Server, database: Database, name: str) -> None:
    fault, _, code = FAULTS[name]
    with fault(database):
        response = server.post("hello", f"t-{name}")
    assert_refused(response, code)
    server.ask("hello", f"t-{name}")


@pytest.mark.parametrize("table", ["chats", "responses"])
def test_a_chat_that_meets_a_lock_is_refused_in_time(
    server: Server, database: Database, table: str
) -> None:
    began = time.monotonic()
    with database.locked(table):
        response = chat(server, "hello")
    assert_refused(response, "database_locked")
    assert time.monotonic() - began < LOCK_SECONDS + NOISE_SECONDS
    assert chat(server, "hello").status_code == 200


def test_ready_answers_in_time_while_postgres_is_frozen(server: Server, database: Database) -> None:
    server.ask("hello")
    with database.frozen():
        assert "No answer" in (said := not_ready(server)) or "No connection" in said
        many = ThreadPoolExecutor(20).map(lambda _: not_ready(server, 20), range(20))
        assert len(list(many)) == 20
    until_ready(server)
    assert server.ask("hello")


@once
def test_nobody_waits_for_ever_for_a_frozen_postgres(server: Server, database: Database) -> None:
    server.ask("hello")
    began = time.monotonic()
    with database.frozen(), ThreadPoolExecutor(8) as many:
        answers = list(many.map(lambda n: server.post("hello", f"frozen {n}"), range(4)))
        answers.append(chat(server, "hello"))
    assert time.monotonic() - began < 30
    assert {answer.status_code for answer in answers} <= {200, 503}


@once
def test_a_chat_that_is_under_way_does_not_wait_for_ever_for_a_frozen_postgres(
    server: Server, database: Database
) -> None:
    with ThreadPoolExecutor() as readers:
        reading = readers.submit(chat, server, "/repeat 200 every 20 ms", "text/event-stream")
        time.sleep(1)
        with database.frozen():
            error = reading.exception(30)
    assert isinstance(error, httpx.RemoteProtocolError) or "[DONE]" in reading.result().text


@once
def test_ready_and_turns_answer_while_the_network_swallows_everything(
    server: Server, proxy: Proxy
) -> None:
    server.ask("hello")
    with proxy.black_hole():
        not_ready(server)
        began = time.monotonic()
        response = server.post("hello", "swallowed")
        assert time.monotonic() - began < 15
    assert_refused(response, "database_busy", "database_unavailable")
    until_ready(server)
    assert server.ask("hello", "swallowed")


@once
def test_a_full_pool_is_called_full(server: Server, database: Database) -> None:
    with database.locked("chats"), ThreadPoolExecutor(45) as many:
        readers = [many.submit(server.http.get, "/api/chats") for _ in range(45)]
        time.sleep(0.5)
        # On a busy machine the first may only say that there was no answer.
        assert any("All connections are in use" in not_ready(server) for _ in range(3))
    assert {reader.result().status_code for reader in readers} == {503}


def test_a_busy_server_is_ready(server: Server) -> None:
    with ThreadPoolExecutor(16) as many:
        turns = [many.submit(server.post, "hello", f"busy {n}") for n in range(48)]
        while not all(turn.done() for turn in turns):
            assert server.http.get("/ready").status_code == 200
            time.sleep(0.1)
    assert {turn.result().status_code for turn in turns} == {200}


def test_a_run_whose_events_cannot_be_stored_fails_and_says_so(
    server: Server, database: Database
) -> None:
    with database.modelled_full("response_events", "NEW.sequence > 2"):
        events = chat(server, "hello", accept="text/event-stream").text
        assert '"response.failed"' in events and "database_full" in events
        assert "full" in not_ready(server)
        assert_refused(chat(server, "hello"), "database_full")
    until_ready(server)
    assert chat(server, "hello").status_code == 200


def test_a_run_that_could_not_be_stored_is_stored_as_failed_later(
    server: Server, database: Database
) -> None:
    with database.modelled_full("response_events", "NEW.sequence > 2"):
        response_id = begin(server, "hello", "unsaved")
        until(lambda: read(server, response_id)["status"] == "failed")
    until(lambda: rows(database, response_id) == [("failed", "response.failed")])
    assert server.ask("hello", "unsaved")


def test_one_answer_that_cannot_be_stored_does_not_hurt_another(
    server: Server, database: Database
) -> None:
    refuse = "ALTER TABLE response_events ADD CONSTRAINT no CHECK (event::text NOT LIKE '%poison%')"
    with database.changed(refuse, "ALTER TABLE response_events DROP CONSTRAINT no"):
        poisoned = begin(server, "/repeat 300 every 20 ms", "other")
        bad = begin(server, "/call poison", "bad")
        until(lambda: read(server, bad)["status"] == "failed")
        assert server.http.get("/ready").status_code == 200
        until(lambda: read(server, poisoned)["status"] == "completed")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_is_called_full(
    agent: Project, database: Database, model: StandinModel
) -> None:
    with database.small_disk(64) as small, serve(agent, small.url, model) as server:
        with small.full():
            assert "full" in not_ready(server)
            assert_refused(server.post(noise(), "t"), "database_full")
            assert_refused(chat(server, noise()), "database_full")
        until_ready(server)
        assert chat(server, noise()).status_code == 200


@once
def test_what_a_tool_did_to_another_database_is_not_said_of_this_one(agent: Project) -> None:
    code = (
        "import psycopg, sys; from agent_server.errors import to_api_error;"
        "error = to_api_error(psycopg.errors.UndefinedTable('sales'));"
        "sys.exit(error.code != 'internal_error')"
    )
    assert agent.start("python", "-c", code).wait() == 0


def serve(agent: Project, url: str, model: StandinModel) -> Server:
    """Return a ready server with short limits."""
    variables = {"DATABASE_URL": url, "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
    variables["LAKEBASE_AGENT_MEMORY_SCHEMA"] = Database.schema  # which the role creates, and owns
    return Server(agent, **variables, **LIMITS).until_ready()


def not_ready(server: Server, callers: int = 1) -> str:
    """Return why the server is not ready, which it must say in time."""
    began = time.monotonic()
    response = server.http.get("/ready")
    assert response.status_code == 503 and response.headers["Retry-After"], response.text
    assert time.monotonic() - began < READY_SECONDS + NOISE_SECONDS
    message: str = response.json()["error"]["message"]
    assert message.startswith("database: "), message
    return message


def until_ready(server: Server) -> None:
    """Return when a turn would work again."""
    until(lambda: server.http.get("/ready").status_code == 200)


def chat(server: Server, text: str, accept: str = "text/plain") -> httpx.Response:
    """Ask in a new chat, and return what came of it."""
    body = {"chatId": str(uuid4()), "message": text}
    headers = {"X-Forwarded-User": "ada", "Accept": accept}
    return server.http.post("/api/chat", json=body, headers=headers)


def assert_refused(response: httpx.Response, *codes: str) -> None:
    """Fail unless this is a 503 with one of the codes, and says when to come back."""
    assert response.status_code == 503, response.text
    assert response.headers["Retry-After"]
    assert response.json()["error"]["code"] in codes, response.text


def rows(database: Database, response_id: str) -> list[Any]:
    """Return the stored status of a response, with the kind of its last event."""
    query = """
        SELECT status, kind FROM of_the_app.responses r JOIN of_the_app.response_events e
        ON e.response_id = r.id WHERE id = %s ORDER BY sequence DESC LIMIT 1"""
    with psycopg.connect(database.url) as admin:
        return admin.execute(query, [response_id]).fetchall()


def noise() -> str:
    """Return a text that is stored in as many bytes."""
    return random.Random(time.time()).randbytes(100_000).hex()


def until(true: Callable[[], bool], seconds: float = 25) -> None:
    """Return when it is true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
