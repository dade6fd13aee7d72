"""What a server says to Postgres in a turn, and what a long thread leaves there."""

import json
from collections.abc import Sequence
from statistics import fmean, median
from typing import Any
from urllib.parse import urlsplit

import psycopg

from benchmarks.client import (
    PLAIN,
    RECALL,
    REMEMBER,
    TOOL,
    Client,
    make_text,
    new_thread,
    open_client,
)
from benchmarks.projects import Variables, report
from benchmarks.timing import open_server
from benchmarks.wire import CHECK, Traffic, open_wire
from tests.support.project import Project

# Statements that a turn does not ask for itself: they come with a connection or a transaction.
AROUND = (CHECK, "BEGIN", "COMMIT", "ROLLBACK")
LONG_THREAD, SAMPLE = 200, 40
KINDS = {
    "no tools": PLAIN,
    "a tool": TOOL,
    "saving a memory": REMEMBER,
    "searching memories": RECALL,
}
SIZE = """
    SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname = %s"""


def measure_traffic(project: Project, variables: Variables) -> dict[str, str]:
    """Return the statements and bytes of turns, and the storage of a thread of 200 turns."""
    url = variables["DATABASE_URL"]
    port = urlsplit(url).port or 5432
    with open_wire(port) as (way, traffic):
        # A schema of its own, so that what is in it is this thread's and nothing else.
        place = {"LAKEBASE_AGENT_MEMORY_SCHEMA": "traffic"}
        place["DATABASE_URL"] = url.replace(f":{port}/", f":{way}/")
        server = open_server(project, {**variables, **place})
        with server as running, open_client(running.port) as client:
            statements = _statements(client, traffic)
            return {**statements, **_long_thread(client, traffic, url, "traffic")}


def _statements(client: Client, traffic: Traffic) -> dict[str, str]:
    rows = {}
    for title, question in KINDS.items():
        report(f"{SAMPLE} turns, counting statements: {title}")
        thread, before = new_thread(), traffic.copy()
        client.turns(thread, SAMPLE, question)
        spent = traffic - before
        rows[f"statements a turn, {title}"] = _count(spent)
        _show(spent)
    return rows


def _count(spent: Traffic) -> str:
    around = sum(spent.statements[text] for text in AROUND)
    own, trips = spent.statements.total() - around, spent.round_trips
    return f"{own / SAMPLE:.1f} + {around / SAMPLE:.1f} around, {trips / SAMPLE:.1f} round trips"


def _show(spent: Traffic) -> None:
    for text, count in spent.statements.most_common():
        print(f"    {count / SAMPLE:5.2f} {text[:90]}")


def _long_thread(client: Client, traffic: Traffic, url: str, schema: str) -> dict[str, str]:
    report(f"one thread of {LONG_THREAD} turns")
    thread, text, turns = new_thread(), 0, list[Traffic]()
    stored = [_stored(url, schema)]
    for number in range(LONG_THREAD):
        before, question = traffic.copy(), make_text(number)
        answer = _answer(client.turn(thread, question))
        turns.append(traffic - before)
        text += len((question + answer).encode())
        if (number + 1) % (LONG_THREAD // 2) == 0:
            stored.append(_stored(url, schema))
    return {**_bytes(turns), **_storage(stored, text)}


def _bytes(turns: Sequence[Traffic]) -> dict[str, str]:
    sent, received = [turn.sent for turn in turns], [turn.received for turn in turns]
    counts = [turn.statements.total() for turn in turns]
    age = f"turn 10 / turn {LONG_THREAD} / mean"
    return {
        f"statements and around: {age}": _ages(counts, "{:.1f}"),
        f"bytes to Postgres: {age}": _ages(sent, "{:,.0f}"),
        "bytes to Postgres, the most in one turn": f"{max(sent):,}",
        f"bytes from Postgres: {age}": _ages(received, "{:,.0f}"),
    }


def _ages(values: Sequence[int], form: str) -> str:
    """Return what is usual early and late in the thread, and the mean of all its turns."""
    usual = (median(values[5:15]), median(values[-10:]), fmean(values))
    return " / ".join(form.format(value) for value in usual)


def _storage(stored: Sequence[int], text: int) -> dict[str, str]:
    start, middle, end = stored
    halves = f"{(middle - start) / 1000:,.0f} kB + {(end - middle) / 1000:,.0f} kB"
    return {
        f"storage of {LONG_THREAD} turns, by halves": halves,
        "storage, times the text": f"{(end - start) / text:.1f} x {text / 1000:,.0f} kB",
    }


def _stored(url: str, schema: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(SIZE, [schema]).fetchone()
        assert row
        return int(row[0])


def _answer(body: str) -> str:
    response: dict[str, Any] = json.loads(body)
    return "".join(part["text"] for item in response["output"] for part in item["content"])
