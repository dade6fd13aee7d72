"""Background responses in Postgres: all of their SQL."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncCursor
from psycopg.rows import DictRow
from pydantic import TypeAdapter

from agent_server.database.lakebase import schema_name
from agent_server.database.migrations import migrate
from agent_server.database.pool import Connection, Pool
from agent_server.database.retention import Rule, kept, statement
from agent_server.responses.events import Event
from agent_server.responses.requests import Turn
from agent_server.settings import limit

PAGE = 500  # events per read, at most
TURN = TypeAdapter(Turn)

TABLES = """
    CREATE TABLE IF NOT EXISTS responses (
        id text PRIMARY KEY, user_id text NOT NULL, thread_key text NOT NULL,
        request json NOT NULL, body json NOT NULL, status text NOT NULL DEFAULT 'queued',
        idempotency_key text, fingerprint text NOT NULL, attempt int NOT NULL DEFAULT 1,
        claimed_by uuid, heartbeat_at timestamptz NOT NULL DEFAULT now(),
        created_at timestamptz NOT NULL DEFAULT now(), UNIQUE (user_id, idempotency_key));
    CREATE UNIQUE INDEX IF NOT EXISTS responses_unfinished ON responses (thread_key)
        WHERE status IN ('queued', 'in_progress');
    CREATE INDEX IF NOT EXISTS responses_age ON responses (created_at);
    CREATE TABLE IF NOT EXISTS response_events (
        response_id text REFERENCES responses ON DELETE CASCADE, sequence int,
        kind text NOT NULL, event json NOT NULL, PRIMARY KEY (response_id, sequence))"""
UNFINISHED = "status IN ('queued', 'in_progress')"
ABANDONED_AT = "heartbeat_at + make_interval(secs => %(abandoned_seconds)s)"
# Any process may claim it: it was handed over, or its process no longer sends heartbeats.
FREE = f"(claimed_by IS NULL OR {ABANDONED_AT} < now())"
# Not one of this process's runs.
OTHERS = "(claimed_by IS NULL OR claimed_by <> ALL(%(claims)s))"
# The condition of a thread's lease: no other background run of the thread is unfinished, and the
# turn's own background response, if it has one, has not been deleted.
THREAD_IS_FREE = f"""
    NOT EXISTS (SELECT 1 FROM responses
        WHERE thread_key = %(thread_key)s AND {UNFINISHED} AND id <> %(response_id)s)
    AND (%(response_id)s = '' OR EXISTS (SELECT 1 FROM responses WHERE id = %(response_id)s))"""
# Held until the transaction ends, so that a user's runs are counted by one process at a time.
LOCK_USER = """
    SELECT pg_advisory_xact_lock(hashtextextended(%(channel)s || ' runs of ' || %(user_id)s, 0))"""
CREATE = f"""
    WITH created AS (
        INSERT INTO responses
            (id, user_id, thread_key, request, body, idempotency_key, fingerprint, claimed_by)
        SELECT %(id)s, %(user_id)s, %(thread_key)s, %(request)s, %(body)s, %(key)s,
            %(fingerprint)s, %(claim)s
        WHERE %(max_runs)s > (
            SELECT count(*) FROM responses WHERE user_id = %(user_id)s AND {UNFINISHED})
        ON CONFLICT DO NOTHING RETURNING id)
    INSERT INTO response_events SELECT id, 0, %(kind)s, %(event)s FROM created
    RETURNING response_id"""
SAME_KEY = """
    SELECT id, fingerprint FROM responses
    WHERE user_id = %(user_id)s AND idempotency_key = %(key)s"""
BUSY = f"SELECT id FROM responses WHERE thread_key = %(thread_key)s AND {UNFINISHED}"
FIND = """
    SELECT status, body::text, request::text, claimed_by FROM responses
    WHERE id = %(id)s AND user_id = %(user_id)s"""
LOCK = f"{FIND} FOR UPDATE"
EVENTS = f"""
    SELECT event::text FROM response_events WHERE response_id = %(id)s AND sequence >= %(position)s
    ORDER BY sequence LIMIT {PAGE}"""
READ = f"""
    SELECT status, {FREE} AS free, kind, event::text FROM responses r LEFT JOIN LATERAL (
        SELECT *, sum(size) OVER (ORDER BY sequence) - size AS before FROM (
            SELECT *, octet_length(event::text) AS size FROM response_events
            WHERE response_id = r.id AND sequence >= %(position)s
            ORDER BY sequence LIMIT {PAGE}) page) e ON before < %(page_bytes)s
    WHERE r.id = %(id)s ORDER BY sequence"""
# Only while the claim is held: a process that was presumed dead can no longer change anything.
# Readers are told of the end, too: it may be saved after the last event.
# Long texts are sent as binary: psycopg escapes the others letter by letter.
WRITE = f"""
    WITH held AS (
        UPDATE responses r SET heartbeat_at = now(), status = coalesce(entry.status, r.status),
            body = coalesce(entry.body, r.body)
        FROM unnest(%(ids)s::text[], %(claims)s::uuid[], %(states)s::text[],
            %(bodies)b::text[]::json[]) AS entry (id, claim, status, body)
        WHERE r.id = entry.id AND r.claimed_by IS NOT DISTINCT FROM entry.claim AND r.{UNFINISHED}
        RETURNING r.id, entry.status),
    added AS (
        INSERT INTO response_events SELECT e.* FROM held JOIN
            unnest(%(owners)s::text[], %(places)s::int[], %(kinds)s::text[],
            %(events)b::text[]::json[]) AS e (id, place, kind, event)
            USING (id) ON CONFLICT DO NOTHING RETURNING response_id),
    notified AS (SELECT pg_notify(%(channel)s, id) FROM held
        WHERE status IS NOT NULL OR id IN (SELECT response_id FROM added))
    SELECT id, (SELECT count(*) FROM notified) FROM held"""
# Saved before a run starts, since it may bring the process down.
BEGIN = """
    UPDATE responses SET status = 'in_progress'
    WHERE id = %(id)s AND claimed_by = %(claim)s AND status = 'queued' RETURNING id"""
# A process's own runs are not free, even if it could send no heartbeats for a while. Only a death
# counts as another attempt: neither a stop, nor a death while the run was still queued.
CLAIM = f"""
    UPDATE responses SET claimed_by = gen_random_uuid(), heartbeat_at = now(), status = 'queued',
        attempt = attempt + (claimed_by IS NOT NULL AND status = 'in_progress')::int
    WHERE id = (SELECT id FROM responses WHERE {UNFINISHED} AND {FREE} AND {OTHERS}
        ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, claimed_by, attempt, request::text"""
NEXT_FREE = f"""
    SELECT extract(epoch FROM min({ABANDONED_AT}) - now())::float AS seconds FROM responses
    WHERE {UNFINISHED} AND {OTHERS}"""
RELEASE = """
    WITH free AS (UPDATE responses SET claimed_by = NULL WHERE claimed_by = ANY(%(claims)s)
        RETURNING id)
    SELECT pg_notify(%(channel)s, id) FROM free"""
NOTIFY_STOPPED = "SELECT pg_notify(%(channel)s, %(id)s || ' stopped')"
DELETE = """
    WITH deleted AS (DELETE FROM responses WHERE id = %(id)s AND user_id = %(user_id)s RETURNING id)
    SELECT id, pg_notify(%(channel)s, id || ' stopped') FROM deleted"""
EXPIRED = f"NOT {UNFINISHED} AND created_at < now() - %(age)s"
FIND_EXPIRED = f"""
    SELECT id AS key, true AS expired FROM responses
    WHERE {EXPIRED} AND id > %(after)s ORDER BY id LIMIT %(page)s"""
DELETE_EXPIRED = f"DELETE FROM responses WHERE id = ANY(%(keys)s) AND {EXPIRED}"


@dataclass(frozen=True)
class Entry:
    """What remains to be saved of one response; `status` and `body`, JSON, once they are final."""

    id: str
    claim: UUID | None
    status: str | None
    body: str | None
    start: int  # the position of the first event
    events: Sequence[Event]


def channel() -> str:
    """Return this app's NOTIFY channel; every app in the database sees every channel."""
    return f"responses_{hashlib.md5(schema_name().encode()).hexdigest()}"


async def create_response_tables(connection: Connection) -> None:
    """Create the tables of background responses, or bring them up to date."""
    await migrate(connection, "responses", [TABLES])


def rules() -> list[Rule]:
    """Return the rule for finished responses."""
    age = kept("BACKGROUND_KEPT_DAYS")
    return [Rule("responses", age, FIND_EXPIRED, statement(DELETE_EXPIRED))]


async def rows(pool: Pool, query: str, **values: Any) -> list[DictRow]:
    """Run one of the queries above, with its limits and channel filled in; return the rows."""
    async with pool.connection() as connection:
        return await fetch(connection, query, **values)


async def fetch(connection: Connection, query: str, **values: Any) -> list[DictRow]:
    """Do what `rows` does, over a given connection."""
    cursor = await execute(connection, query, **values)
    return await cursor.fetchall() if cursor.description else []


async def execute(connection: Connection, query: str, **values: Any) -> AsyncCursor[DictRow]:
    """Run a query as `fetch` does; return the cursor."""
    values["channel"] = channel()
    values["abandoned_seconds"] = limit("ABANDONED_SECONDS")
    values["max_runs"] = limit("BACKGROUND_RUNS_PER_USER")
    values["page_bytes"] = limit("PAGE_BYTES")
    return await connection.execute(query, values)


async def events(connection: Connection, response_id: str) -> list[str]:
    """Return every event of the response, as JSON."""
    found: list[str] = []
    while page := await fetch(connection, EVENTS, id=response_id, position=len(found)):
        found += [row["event"] for row in page]
    return found


async def write(connection: Connection, entries: Sequence[Entry]) -> set[str]:
    """Save the entries; return the ids of the responses whose claims were still held."""
    states = [(entry.id, entry.claim, entry.status, entry.body) for entry in entries]
    added = [(e.id, e.start + i, *event) for e in entries for i, event in enumerate(e.events)]
    values = {
        **_columns(states, "ids", "claims", "states", "bodies"),
        **_columns(added, "owners", "places", "kinds", "events"),
    }
    return {row["id"] for row in await fetch(connection, WRITE, **values)}


def _columns(rows: Sequence[tuple[Any, ...]], *names: str) -> dict[str, list[Any]]:
    return {name: [row[column] for row in rows] for column, name in enumerate(names)}
