"""Whether any route reads a whole table once there are a million rows: none may.

The server is the real one on the project's embedded Postgres, which counts its sequential scans.
"""

import argparse
import sys
from collections.abc import Callable
from contextlib import closing
from uuid import uuid4

import httpx
import psycopg

from benchmarks.projects import FRAMEWORKS, Variables, open_project, open_services, report
from tests.support.project import Project, Server

MEMORY = ("short_term", "long_term", "background", "chat")
SCHEMA, SMALL = "plans", 1000
CHATS, MESSAGES, ROWS = 10_000, 100, 1_000_000
FILL = {
    "chats": """
        INSERT INTO chats (user_id, title) SELECT 'user' || n % 1000, 'chat ' || n
        FROM generate_series(1, {chats}) AS n""",
    "messages": """
        INSERT INTO messages (chat_id, role, content) SELECT id, 'user', 'message ' || n
        FROM chats, generate_series(1, {messages}) AS n""",
    "store": """
        INSERT INTO store (prefix, key, value)
        SELECT 'memories.user' || n % 10000, 'key' || n, '{{"memory": "something"}}'
        FROM generate_series(1, {rows}) AS n""",
    "checkpoints": """
        INSERT INTO checkpoints (thread_id, checkpoint_id, checkpoint)
        SELECT 'user' || n % 10000 || '/earlier', to_char(n, 'FM0000000'), '{{}}'
        FROM generate_series(1, {rows}) AS n""",
    "checkpoint_writes": """
        INSERT INTO checkpoint_writes (thread_id, checkpoint_id, task_id, idx, channel, blob)
        SELECT 'user' || n % 10000 || '/earlier', to_char(n, 'FM0000000'), 'task', 0, 'messages', ''
        FROM generate_series(1, {rows}) AS n""",
    "agent_sessions": """
        INSERT INTO agent_sessions (session_id) SELECT 'user' || n || '/earlier'
        FROM generate_series(1, 10000) AS n""",
    "agent_messages": """
        INSERT INTO agent_messages (session_id, message_data)
        SELECT 'user' || 1 + n % 10000 || '/earlier', '{{"role": "user", "content": "hello"}}'
        FROM generate_series(1, {rows}) AS n""",
}
SCANS = """
    SELECT relname, seq_scan FROM pg_stat_user_tables
    WHERE schemaname = %s AND n_live_tup > %s"""
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = %s"


def main() -> None:
    """Print each sequential scan of a large table; exit code 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--framework", choices=FRAMEWORKS, default="langgraph")
    framework = parser.parse_args().framework
    with open_project(framework, memory=MEMORY) as project, open_services(project) as variables:
        found = measure_scans(project, variables)
    print("\n".join(found) or f"{framework}: no route reads a whole table")
    sys.exit(bool(found))


def measure_scans(project: Project, variables: Variables) -> list[str]:
    """Return each route that reads a large table from one end to the other."""
    place = {**variables, "LAKEBASE_AGENT_MEMORY_SCHEMA": SCHEMA}
    with psycopg.connect(variables["DATABASE_URL"], autocommit=True) as database:
        database.execute(f"SET search_path TO {SCHEMA}, public")
        with Server(project, **place) as server:
            server.until_ready()
            _fill(database)
            with closing(httpx.Client(base_url=server.http.base_url, timeout=120)) as http:
                http.headers["X-Forwarded-User"] = "user7"
                return [line for name in ROUTES for line in _scans(database, name, http)]


def _fill(database: psycopg.Connection) -> None:
    there = {row[0] for row in database.execute(TABLES, [SCHEMA])}
    for table, statement in FILL.items():
        if table in there:
            report(f"filling {table}")
            text = statement.format(chats=CHATS, messages=MESSAGES, rows=ROWS)
            database.execute(text)
    database.execute("VACUUM ANALYZE")


def _scans(database: psycopg.Connection, name: str, http: httpx.Client) -> list[str]:
    before = _counted(database)
    ROUTES[name](http)
    after = _counted(database)
    return [f"{name}: reads all of {t}" for t, n in after.items() if n > before.get(t, 0)]


def _counted(database: psycopg.Connection) -> dict[str, int]:
    # What other connections did is told about a second later.
    database.execute("SELECT pg_sleep(2)")
    database.execute("SELECT pg_stat_clear_snapshot()")
    return dict(database.execute(SCANS, [SCHEMA, SMALL]).fetchall())


def _ask(http: httpx.Client, **more: object) -> httpx.Response:
    body = {"input": "hello", "custom_inputs": {"thread_id": "thread"}, **more}
    return http.post("/responses", json=body).raise_for_status()


def _background(http: httpx.Client) -> None:
    found = _ask(http, background=True, custom_inputs={"thread_id": uuid4().hex}).json()
    while found["status"] in ("queued", "in_progress"):
        found = http.get(f"/responses/{found['id']}").raise_for_status().json()


def _chat(http: httpx.Client) -> None:
    chat = http.get("/api/chats").raise_for_status().json()
    rows = chat["chats"] if isinstance(chat, dict) else chat
    http.get(f"/api/chats/{rows[0]['id']}/messages").raise_for_status()
    http.get("/api/chats", params={"search": "chat 7"}).raise_for_status()
    http.post("/api/chat", json={"chatId": rows[0]["id"], "message": "hi"}).raise_for_status()
    http.delete(f"/api/chats/{rows[1]['id']}").raise_for_status()


ROUTES: dict[str, Callable[[httpx.Client], object]] = {
    "GET /ready": lambda http: http.get("/ready").raise_for_status(),
    "a turn": _ask,
    "a turn, streamed": lambda http: _ask(http, stream=True),
    "a turn that remembers": lambda http: _ask(http, input="Remember that I like teal"),
    "a turn that recalls": lambda http: _ask(http, input="What do you know about me?"),
    "a background turn": _background,
    "chats": _chat,
    "GET /api/me/export": lambda http: http.get("/api/me/export").raise_for_status(),
    "DELETE /api/me": lambda http: http.delete("/api/me").raise_for_status(),
}


if __name__ == "__main__":
    main()
