"""What has been kept for long enough is deleted, whole, and nothing else is."""

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.abuse.honest_user import honest_user
from tests.standins.model import StandinModel
from tests.support.background_project import begin, read
from tests.support.project import Project, Server

pytestmark = pytest.mark.generated
KEPT = {
    "THREADS_KEPT_DAYS": "30",
    "CHATS_KEPT_DAYS": "60",
    "BACKGROUND_KEPT_DAYS": "7",
    "CLEANUP_SECONDS": "1",
}
SCHEMA = "my_agent"
PATIENCE_SECONDS = 20
SOON_SECONDS = 1.6  # CLEANUP_SECONDS, and time to delete
HAS_TS = "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = 'checkpoints'"
AGE = {
    True: """
        UPDATE checkpoints SET checkpoint = jsonb_set(checkpoint, '{ts}',
            to_jsonb(((checkpoint->>'ts')::timestamptz - make_interval(days => %(days)s))::text))
        WHERE thread_id = %(key)s""",
    False: """
        UPDATE agent_sessions SET updated_at = updated_at - make_interval(days => %(days)s)
        WHERE session_id = %(key)s""",
}
COLUMNS = """
    SELECT table_name AS name, column_name AS column FROM information_schema.columns
    WHERE table_schema = %s AND (
        column_name IN ('thread_id', 'session_id')
        OR table_name = 'approvals' AND column_name = 'thread_key')"""
# What a thread has only if its owner wants it to.
MORE = """
    INSERT INTO thread_summaries VALUES (%(key)s, 'Said hello', 'a hash');
    INSERT INTO approvals (id, user_id, thread_key, number, name, arguments, place, state)
    VALUES (%(key)s, 'ada', %(key)s, 0, 'send', '{}', 'a place', 'a state')"""
OF_CHAT = ("messages", "earlier_messages", "feedback")


class Rows:
    """The rows of the app's schema, to look at and to make older."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True, row_factory=dict_row)
        self.execute(f"SET search_path = {SCHEMA}, public")

    def execute(self, query: str, values: Any = None) -> list[dict[str, Any]]:
        """Run a query, and return the rows."""
        cursor = self.connection.execute(query.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def count(self, source: str, *values: Any) -> int:
        """Count the rows of a table and a condition."""
        return int(self.execute(f"SELECT count(*) AS number FROM {source}", values)[0]["number"])

    def of_thread(self, key: str) -> dict[str, int]:
        """Count the rows of a thread, in each table that has any."""
        places = self.execute(COLUMNS, [SCHEMA])
        counts = {
            p["name"]: self.count(f"{p['name']} WHERE {p['column']} = %s", key) for p in places
        }
        return {name: count for name, count in counts.items() if count}

    def of_chat(self, chat: str) -> dict[str, int]:
        """Count the rows of a chat, in each table that has any."""
        counts = {name: self.count(f"{name} WHERE chat_id = %s", chat) for name in OF_CHAT}
        return {name: count for name, count in counts.items() if count}

    def add_to_thread(self, key: str) -> None:
        """Add a summary of a thread, and a call that waits in it."""
        for statement in MORE.split(";"):
            self.execute(statement, {"key": key})

    def age_thread(self, key: str, days: int) -> None:
        """Let the last turn of a thread be so long ago."""
        self.execute(AGE[bool(self.execute(HAS_TS, [SCHEMA]))], {"key": key, "days": days})

    def age(self, table: str, column: str, key: str, days: int) -> None:
        """Let the row with this id be older."""
        older = f"UPDATE {table} SET {column} = {column} - make_interval(days => %s) WHERE id = %s"
        self.execute(older, [days, key])

    def lease(self, key: str, seconds: int) -> None:
        """Let a turn hold the thread for so long from now; less than none has expired."""
        held = "INSERT INTO turn_leases VALUES (%s, %s, now() + make_interval(secs => %s))"
        self.execute(held, [key, uuid4(), seconds])

    def queue(self, response_id: str) -> None:
        """Let a response be one that its process has not got to yet."""
        queued = """
            UPDATE responses SET status = 'queued', claimed_by = gen_random_uuid(),
                heartbeat_at = now() + interval '1 hour' WHERE id = %s"""
        self.execute(queued, [response_id])

    def leases(self, key: str) -> int:
        """Count the leases whose threads begin with `key`."""
        return self.count("turn_leases WHERE starts_with(thread_key, %s)", key)


@pytest.fixture(scope="module")
def server(agent: Project, database: str, model: StandinModel) -> Iterator[Server]:
    """Yield a server that keeps things for a number of days, and looks every second."""
    variables = {"DATABASE_URL": database, "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
    with Server(agent, **variables, **KEPT) as server:
        yield server.until_ready()


@pytest.fixture(scope="module")
def rows(server: Server, database: str) -> Iterator[Rows]:
    """Yield the rows of that server."""
    rows = Rows(database)
    yield rows
    rows.connection.close()


@pytest.fixture
def user() -> str:
    """Return a user of their own for each test."""
    return f"u{uuid4().hex}"


def work(server: Server, seconds: float = SOON_SECONDS) -> None:
    """Let the app be at work, so that it cleans up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        server.ask("Hello", thread="at work", user="somebody")
        time.sleep(0.3)


def until(server: Server, done: Callable[[], bool]) -> None:
    """Let the app be at work until that is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < deadline, server.log
        work(server, 0.1)


def run(server: Server, user: str, thread: str) -> str:
    """Return the id of a background response that has finished."""
    response_id = begin(server, "Hello", thread, user)
    until(server, lambda: read(server, response_id, user)["status"] == "completed")
    return response_id


def open_chat(server: Server, user: str) -> str:
    """Return the id of a chat with a question and an answer."""
    headers = {"X-Forwarded-User": user}
    asked = server.http.post("/api/chat", json={"message": "Hello"}, headers=headers)
    assert asked.status_code == 200, asked.text
    return str(asked.headers["X-Chat-Id"])


def use_chat(server: Server, user: str, chat: str) -> None:
    """Have a chat's answer replaced, and judge the new one."""
    headers = {"X-Forwarded-User": user}
    again = {"chatId": chat, "message": "Hello", "trigger": "regenerate-message"}
    assert server.http.post("/api/chat", json=again, headers=headers).status_code == 200
    *_, said = server.http.get(f"/api/chats/{chat}/messages", headers=headers).json()
    judged = {"message_id": said["id"], "value": True}
    assert server.http.post("/api/feedback", json=judged, headers=headers).status_code == 204


def test_expired_leases_are_removed_and_nobody_waits(server: Server, rows: Rows, user: str) -> None:
    rows.execute(
        "INSERT INTO turn_leases SELECT %s || '/' || n, gen_random_uuid(), now() - interval '1 day'"
        " FROM generate_series(1, 1965) AS n", [user],
    )  # fmt: skip
    work(server, 0.1)  # the first turn of a process takes longer
    with honest_user(server):
        until(server, lambda: rows.leases(user) == 0)


@pytest.mark.parametrize("seconds", [60, -2])
def test_a_lease_that_a_turn_may_still_use_stays(
    server: Server, rows: Rows, user: str, seconds: int
) -> None:
    rows.lease(f"{user}/t", seconds)
    work(server)
    assert rows.leases(user) == 1


def test_an_old_thread_is_deleted_whole(server: Server, rows: Rows, user: str) -> None:
    key = f"{user}/t"
    server.ask("What time is it?", thread="t", user=user)
    rows.add_to_thread(key)
    assert len(rows.of_thread(key)) >= 4
    rows.age_thread(key, 31)
    until(server, lambda: rows.of_thread(key) == {})
    assert rows.leases(key) == 0


def test_a_younger_thread_stays_whole(server: Server, rows: Rows, user: str) -> None:
    key = f"{user}/t"
    server.ask("What time is it?", thread="t", user=user)
    server.ask("Hello", thread="t", user=user)
    rows.add_to_thread(key)
    rows.age_thread(key, 29)
    before = rows.of_thread(key)
    work(server)
    assert rows.of_thread(key) == before


def test_a_turn_makes_an_old_thread_young(server: Server, rows: Rows, user: str) -> None:
    server.ask("Remember me", thread="t", user=user)
    rows.age_thread(f"{user}/t", 29)
    server.ask("Hello", thread="t", user=user)
    work(server)
    assert rows.of_thread(f"{user}/t")


def test_a_thread_in_use_is_never_deleted(server: Server, rows: Rows, user: str) -> None:
    key = f"{user}/t"
    server.ask("Hello", thread="t", user=user)
    rows.lease(key, 3600)
    rows.age_thread(key, 300)
    before = rows.of_thread(key)
    work(server)
    assert rows.of_thread(key) == before and rows.leases(key) == 1


def test_a_thread_with_an_unfinished_run_is_never_deleted(
    server: Server, rows: Rows, user: str
) -> None:
    key = f"{user}/t"
    rows.queue(run(server, user, "t"))
    rows.age_thread(key, 300)
    work(server)
    assert rows.of_thread(key)


def test_a_chats_thread_lives_as_long_as_its_chat(server: Server, rows: Rows, user: str) -> None:
    chat = open_chat(server, user)
    rows.age_thread(f"{user}/{chat}", 300)
    before = rows.of_thread(f"{user}/{chat}")
    work(server)
    assert before and rows.of_thread(f"{user}/{chat}") == before


def test_an_old_chat_goes_with_its_thread(server: Server, rows: Rows, user: str) -> None:
    chat, other = open_chat(server, user), open_chat(server, user)
    for each in (chat, other):
        use_chat(server, user, each)
        assert len(rows.of_chat(each)) == len(OF_CHAT)
    rows.age("chats", "updated_at", chat, 61)
    rows.age("chats", "updated_at", other, 59)
    until(server, lambda: rows.count("chats WHERE id = %s", chat) == 0)
    assert rows.of_thread(f"{user}/{chat}") == rows.of_chat(chat) == {}
    assert rows.of_thread(f"{user}/{other}") and len(rows.of_chat(other)) == len(OF_CHAT)


def test_a_chat_whose_thread_is_in_use_stays_with_it(server: Server, rows: Rows, user: str) -> None:
    chat = open_chat(server, user)
    rows.lease(f"{user}/{chat}", 3600)
    rows.age("chats", "updated_at", chat, 61)
    work(server)
    assert rows.of_thread(f"{user}/{chat}") and rows.count("messages WHERE chat_id = %s", chat) == 2


def test_memories_are_never_deleted_for_their_age(server: Server, rows: Rows, user: str) -> None:
    rows.execute(
        "INSERT INTO store (prefix, key, value, created_at, updated_at) VALUES (%s, 'k', '{}',"
        " now() - interval '9 years', now() - interval '9 years')", [f"memories.{user}"],
    )  # fmt: skip
    work(server)
    assert rows.count("store WHERE prefix = %s", f"memories.{user}") == 1


def test_old_responses_are_deleted_without_their_threads(
    server: Server, rows: Rows, user: str
) -> None:
    old, young = run(server, user, "a"), run(server, user, "b")
    rows.age("responses", "created_at", old, 8)
    rows.age("responses", "created_at", young, 6)
    until(server, lambda: rows.count("responses WHERE id = %s", old) == 0)
    assert rows.count("response_events WHERE response_id = %s", old) == 0
    assert read(server, young, user)["status"] == "completed" and rows.of_thread(f"{user}/a")


def test_an_unfinished_response_is_never_deleted(server: Server, rows: Rows, user: str) -> None:
    response_id = run(server, user, "t")
    rows.queue(response_id)
    rows.age("responses", "created_at", response_id, 300)
    work(server)
    assert rows.count("responses WHERE id = %s", response_id) == 1


def test_an_idle_app_lets_its_database_sleep(server: Server, rows: Rows, user: str) -> None:
    work(server)
    rows.lease(f"{user}/t", -60)
    time.sleep(3)  # three times CLEANUP_SECONDS
    assert rows.leases(user) == 1
    until(server, lambda: rows.leases(user) == 0)


def test_only_one_process_deletes_at_a_time(server: Server, rows: Rows, user: str) -> None:
    key = "hashtextextended('retention:' || %s, 0)"
    rows.lease(f"{user}/t", -60)
    rows.execute(f"SELECT pg_advisory_lock({key})", [SCHEMA])
    work(server)
    held = rows.leases(user)
    rows.execute(f"SELECT pg_advisory_unlock({key})", [SCHEMA])
    until(server, lambda: rows.leases(user) == 0)
    assert held == 1


def test_a_locked_table_holds_up_no_turn(server: Server, rows: Rows, user: str) -> None:
    rows.lease(f"{user}/t", -60)
    with honest_user(server), rows.connection.transaction():
        rows.execute("SELECT FROM turn_leases WHERE thread_key = %s FOR UPDATE", [f"{user}/t"])
        work(server)
    until(server, lambda: rows.leases(user) == 0)


def test_everything_is_kept_for_ever_by_default(
    agent: Project, database: str, model: StandinModel, rows: Rows, user: str
) -> None:
    variables = {"DATABASE_URL": database, "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
    with Server(agent, **variables, CLEANUP_SECONDS="1") as server:
        server.until_ready().ask("Hello", thread="t", user=user)
        chat = open_chat(server, user)
        rows.age_thread(f"{user}/t", 3000)
        rows.age("chats", "updated_at", chat, 3000)
        rows.lease(f"{user}/x", -60)
        until(server, lambda: rows.leases(user) == 0)
        work(server)
    assert rows.of_thread(f"{user}/t") and rows.of_thread(f"{user}/{chat}")
