"""Readers who leave, and a database that stops: what turns held is free again.

`uv run poe abuse` opens the streams ten times over.
"""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from tests.abuse.hang_up import hang_up_on
from tests.abuse.honest_user import honest_user
from tests.standins.model import StandinModel
from tests.support.project import Project, Server

pytestmark = pytest.mark.generated

SCHEMA = "my_agent"
STREAMS = 600
ROUNDS = int(os.environ.get("ABUSE_ROUNDS", "1"))
CONNECTIONS = 20  # POOL_CONNECTIONS
SETTLE_SECONDS = 30
LOCK = "LOCK TABLE {} IN ACCESS EXCLUSIVE MODE"
LEASES = f"SELECT thread_key FROM {SCHEMA}.turn_leases WHERE expires_at > now()"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
BREAK = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"""


@pytest.fixture(scope="module")
def server(agent: Project, database: str, model: StandinModel) -> Iterator[Server]:
    """Yield a server that soon gives up on a database that does not answer."""
    variables = {"DATABASE_URL": database, "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
    with Server(agent, CONNECT_SECONDS="3", WATCH_EVENT_LOOP="1", **variables) as server:
        yield server.until_ready()


def test_streams_that_are_hung_up_on_cost_nobody_anything(
    server: Server, database: str, model: StandinModel
) -> None:
    server.ask("hello")
    with honest_user(server):
        for number in range(ROUNDS):
            hang_up_on(server.port, STREAMS, seed=number)
    assert_nothing_is_held(server, database, model)
    # Those of servers that were killed before stay, expired, until they are cleaned up.
    assert query(database, f"SELECT 1 FROM {SCHEMA}.turn_leases WHERE expires_at > now()") == []
    assert "hello" in server.ask("hello", "thread 0", user="mallory")


def test_connections_that_break_under_streams_that_are_hung_up_on_are_replaced(
    server: Server, database: str, model: StandinModel
) -> None:
    with ThreadPoolExecutor() as threads:
        attack = threads.submit(hang_up_on, server.port, STREAMS // 3, seed=1)
        while not attack.done():
            query(database, BREAK)
            time.sleep(0.2)
    attack.result()
    until(lambda: server.post("hello").status_code == 200, "no turn works")
    assert_nothing_is_held(server, database, model)


def test_a_frozen_database_is_a_503_and_all_is_well_once_it_thaws(
    server: Server, database: str, model: StandinModel
) -> None:
    server.ask("hello", "frozen")
    with frozen(database), honest_user(server):
        turn = server.post("hello", "frozen")
        hang_up_on(server.port, 2 * CONNECTIONS, seed=2)
    assert turn.status_code == 503 and turn.json()["error"]["code"] == "database_unavailable"
    until(lambda: server.post("hello", "frozen").status_code == 200, "no turn works")
    assert_nothing_is_held(server, database, model)


def test_a_locked_table_of_leases_is_a_503_and_not_another_turn(
    server: Server, database: str, model: StandinModel
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(LOCK.format(f"{SCHEMA}.turn_leases").encode())
        turn = server.post("hello", "locked")
        connection.rollback()
    assert turn.status_code == 503 and turn.headers["Retry-After"], turn.text
    assert "hello" in server.ask("hello", "locked")
    assert_nothing_is_held(server, database, model)


def test_a_turn_of_a_busy_thread_is_still_a_409(server: Server, database: str) -> None:
    take = f"INSERT INTO {SCHEMA}.turn_leases VALUES ('ada/busy', gen_random_uuid(), 'infinity')"
    query(database, f"{take} RETURNING 1")
    turn = server.post("hello", "busy")
    query(database, f"DELETE FROM {SCHEMA}.turn_leases RETURNING 1")
    assert turn.status_code == 409 and turn.json()["error"]["code"] == "thread_busy"


def assert_nothing_is_held(server: Server, database: str, model: StandinModel) -> None:
    """Fail unless the model answers nobody, no thread is taken, and every connection is free."""
    until(lambda: not model.running and not model.streams, "the model is still asked")
    until(lambda: not query(database, LEASES), "a lease is left")
    assert usable_connections(server, database) == CONNECTIONS


def usable_connections(server: Server, database: str) -> int:
    """Return how many connections the pool hands out at once: requests for a locked table."""

    def list_chats(user: int) -> httpx.Response:
        return server.http.get("/api/chats", headers={"X-Forwarded-User": f"user {user}"})

    with ThreadPoolExecutor(CONNECTIONS) as threads, psycopg.connect(database) as connection:
        connection.execute(LOCK.format(f"{SCHEMA}.chats").encode())
        lists = [threads.submit(list_chats, user) for user in range(CONNECTIONS)]
        usable, deadline = 0, time.monotonic() + 8
        while usable < CONNECTIONS and time.monotonic() < deadline:
            time.sleep(0.05)
            [(usable,)] = query(database, WAITING)
        connection.rollback()
        assert {each.result().status_code for each in lists} <= {200, 503}
    return usable


@contextmanager
def frozen(database: str) -> Iterator[None]:
    """Stop every process of Postgres until the end."""
    with psycopg.connect(database) as connection:
        postgres = psutil.Process(connection.info.backend_pid).parent()
    assert postgres
    processes = [postgres, *postgres.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # one that ends the others may be up already
                process.resume()


def query(database: str, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with psycopg.connect(database, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


def until(true: Callable[[], bool], otherwise: str) -> None:
    """Return once it is true; fail, saying what is `otherwise`, if that takes too long."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while not true():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)
