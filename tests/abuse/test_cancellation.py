"""Readers who leave: what their turns held is free again."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from tests.abuse.hang_up import hang_up_on
from tests.abuse.honest_user import honest_user
from tests.standins.model import StandinModel
from tests.support.project import Server

pytestmark = pytest.mark.generated

SCHEMA = "my_agent"
STREAMS = 600
CONNECTIONS = 20  # POOL_CONNECTIONS
SETTLE_SECONDS = 30
# As many requests as connections: each waits for the lock, and holds a connection meanwhile.
LOCK = f"LOCK TABLE {SCHEMA}.chats IN ACCESS EXCLUSIVE MODE"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


def test_streams_that_are_hung_up_on_cost_nobody_anything(
    server: Server, database: str, model: StandinModel
) -> None:
    server.ask("hello")
    with honest_user(server):
        hang_up_on(server.port, STREAMS)
    until(lambda: not model.running and not model.streams, "the model is still asked")
    until(lambda: query(database, f"SELECT * FROM {SCHEMA}.turn_leases") == [], "a lease is left")
    assert usable_connections(server, database) == CONNECTIONS
    assert "hello" in server.ask("hello", "thread 0", user="mallory")


def usable_connections(server: Server, database: str) -> int:
    """Return how many connections the server's pool hands out at once."""

    def list_chats(user: int) -> httpx.Response:
        return server.http.get("/api/chats", headers={"X-Forwarded-User": f"user {user}"})

    with ThreadPoolExecutor(2 * CONNECTIONS) as threads, psycopg.connect(database) as connection:
        connection.execute(LOCK)
        lists = [threads.submit(list_chats, user) for user in range(2 * CONNECTIONS)]
        usable, deadline = 0, time.monotonic() + 8
        while usable < CONNECTIONS and time.monotonic() < deadline:
            [(usable,)] = query(database, WAITING)
            time.sleep(0.05)
        connection.rollback()
        assert {each.result().status_code for each in lists} <= {200, 503}
    return usable


def query(database: str, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with psycopg.connect(database) as connection:
        return connection.execute(statement.encode()).fetchall()


def until(true: Callable[[], bool], otherwise: str) -> None:
    """Return once it is true; fail, saying what is `otherwise`, if that takes too long."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while not true():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)
