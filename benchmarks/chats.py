"""What a user with many chats waits for: the list of them, one of them, and a search.

The server is the real one on the project's embedded Postgres, asked over HTTP, one request at a
time. Other users have as many chats each, and what belongs to one chat lies scattered in the table.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from http.client import HTTPConnection
from itertools import cycle, islice
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from benchmarks.client import VOCABULARY, make_text
from benchmarks.projects import FRAMEWORKS, open_project, open_services, report
from benchmarks.wire import CHECK, Traffic, open_wire
from tests.support.project import Server

MEMORY = ("short_term", "long_term", "chat")
SCHEMA, USER = "many_chats", "ada@example.com"
CHATS, MESSAGES = 1000, 50
BUDGET_MS, BUDGET_STATEMENTS = 50, 3
FILL_CHATS = """
    INSERT INTO chats (user_id, title, created_at, updated_at)
    SELECT name, titles[n], now() - n * interval '1 hour', now() - n * interval '1 hour'
    FROM (SELECT %s::text AS name, %s::text[] AS titles) AS given, generate_series(1, %s) AS n"""
# The first message of every chat, then the second of every chat: as they are written in life.
FILL_MESSAGES = """
    INSERT INTO messages (chat_id, role, content, created_at)
    SELECT id, CASE n %% 2 WHEN 1 THEN 'user' ELSE 'assistant' END,
        texts[1 + (n * 7919 + hashtext(id::text)::bigint & 65535) %% cardinality(texts)],
        created_at + n * interval '1 second'
    FROM chats, generate_series(1, %s) AS n, (SELECT %s::text[] AS texts) AS given ORDER BY n, id"""


def main() -> None:
    """Print a line for each kind of request; exit code 1 over budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--framework", choices=FRAMEWORKS, default="langgraph")
    parser.add_argument("--requests", type=int, default=50, help="of a kind; default: %(default)s")
    parser.add_argument("--others", type=int, default=9, help="other users; default: %(default)s")
    options = parser.parse_args()
    with open_project(options.framework, memory=MEMORY) as project, open_services(project) as at:
        port = urlsplit(at["DATABASE_URL"]).port or 5432
        with open_wire(port) as (way, traffic):
            place = {"LAKEBASE_AGENT_MEMORY_SCHEMA": SCHEMA}
            place["DATABASE_URL"] = at["DATABASE_URL"].replace(f":{port}/", f":{way}/")
            with Server(project, **{**at, **place}) as server:
                server.until_ready()
                report(f"filling the chats of {1 + options.others} users")
                users = [USER, *(f"user{n}@example.com" for n in range(options.others))]
                fill(at["DATABASE_URL"], SCHEMA, users)
                sys.exit(not _measure(server.port, traffic, options.requests))


def fill(url: str, schema: str, users: Sequence[str], messages: int = MESSAGES) -> None:
    """Give each of `users` 1,000 chats of so many messages; Postgres then knows how many."""
    titles, texts = ([make_text(n, words) for n in range(1, 1 + CHATS)] for words in (12, 60))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(schema)))
        for user in users:
            connection.execute(FILL_CHATS, [user, titles, CHATS])
        connection.execute(FILL_MESSAGES, [messages, texts])
        connection.execute("VACUUM ANALYZE chats, messages")


def paths(chats: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the requests of each kind; `chats` are some of the user's."""
    return {
        "list": ["/api/chats"],
        "list, 200 of them": ["/api/chats?limit=200"],
        "open": [f"/api/chats/{chat['id']}/messages" for chat in chats],
        "search, some match": [f"/api/chats?search={word}" for word in VOCABULARY[:50]],
        "search, none matches": ["/api/chats?search=nowhere"],
    }


def get(http: HTTPConnection, path: str) -> Any:
    """Return what the server says to the user."""
    http.request("GET", path, headers={"X-Forwarded-User": USER})
    response = http.getresponse()
    body = json.loads(response.read())
    assert response.status == 200, body
    return body


def _measure(port: int, traffic: Traffic, requests: int) -> bool:
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as http:
        chats = get(http, "/api/chats?limit=200")
        assert len(chats) == 200
        assert len(get(http, f"/api/chats/{chats[0]['id']}/messages")) == MESSAGES
        kinds = paths(chats).items()
        return all([_kind(http, traffic, kind, [*islice(cycle(p), requests)]) for kind, p in kinds])


def _kind(http: HTTPConnection, traffic: Traffic, kind: str, asked: Sequence[str]) -> bool:
    times, before = [], traffic.copy()
    for path in asked:
        start = time.perf_counter()
        get(http, path)
        times.append((time.perf_counter() - start) * 1000)
    spent = (traffic - before).statements
    statements, checks = spent.total() / len(asked), spent[CHECK] / len(asked)
    print(
        f"{kind}: {median(times):.1f} ms, at most {max(times):.1f};"
        f" {statements:.1f} statements, {checks:.1f} of them checks of a connection",
        flush=True,
    )
    return max(times) <= BUDGET_MS and statements <= BUDGET_STATEMENTS


if __name__ == "__main__":
    main()
