"""Background responses in Postgres: all the SQL there is about them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow
from pydantic import TypeAdapter

from agent_server.events import Event
from agent_server.lakebase import Connection, Pool, schema_name
from agent_server.migrations import migrate
from agent_server.requests import Turn

KEPT_DAYS, PAGE = 7, 500
Query = Sequence[Any] | Mapping[str, Any]
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
# Nobody's: handed over, or of a process that has not been heard of for ten seconds.
FREE = "(claimed_by IS NULL OR heartbeat_at < now() - interval '10 seconds')"
CREATE = f"""
    WITH made AS (
        INSERT INTO responses
            (id, user_id, thread_key, request, body, idempotency_key, fingerprint, claimed_by)
        SELECT %(id)s, %(user_id)s, %(thread_key)s, %(request)s, %(body)s, %(key)s,
            %(fingerprint)s, %(claim)s
        WHERE %(most)s > (
            SELECT count(*) FROM responses WHERE user_id = %(user_id)s AND {UNFINISHED})
        ON CONFLICT DO NOTHING RETURNING id)
    INSERT INTO response_events SELECT id, 0, %(kind)s, %(event)s FROM made RETURNING response_id"""
SAME_KEY = "SELECT id, fingerprint FROM responses WHERE user_id = %s AND idempotency_key = %s"
BUSY = f"SELECT id FROM responses WHERE thread_key = %s AND {UNFINISHED}"
FIND = """
    SELECT status, body::text, request::text, claimed_by FROM responses
    WHERE id = %s AND user_id = %s"""
LOCK = f"{FIND} FOR UPDATE"
EVENTS = "SELECT event::text FROM response_events WHERE response_id = %s ORDER BY sequence"
READ = f"""
    SELECT status, {FREE} AS free, kind, event::text FROM responses r LEFT JOIN LATERAL (
        SELECT * FROM response_events WHERE response_id = r.id AND sequence >= %s
        ORDER BY sequence LIMIT {PAGE}) e ON true
    WHERE r.id = %s ORDER BY sequence"""
# Only what is still this claim's: a process that was taken for dead changes nothing any more.
WRITE = f"""
    WITH mine AS (
        UPDATE responses r SET heartbeat_at = now(), status = told.status,
            body = coalesce(told.body, r.body)
        FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::json[])
            AS told (id, claim, status, body)
        WHERE r.id = told.id AND r.claimed_by IS NOT DISTINCT FROM told.claim AND r.{UNFINISHED}
        RETURNING r.id),
    added AS (
        INSERT INTO response_events SELECT e.* FROM mine JOIN
            unnest(%s::text[], %s::int[], %s::text[], %s::json[]) AS e (id, place, kind, event)
            USING (id) ON CONFLICT DO NOTHING RETURNING response_id),
    heard AS (SELECT pg_notify(%s, id) FROM (SELECT DISTINCT response_id AS id FROM added) a)
    SELECT id, (SELECT count(*) FROM heard) FROM mine"""
CLAIM = f"""
    UPDATE responses SET claimed_by = gen_random_uuid(), heartbeat_at = now(),
        attempt = attempt + (claimed_by IS NOT NULL)::int
    WHERE id = (SELECT id FROM responses WHERE {UNFINISHED} AND {FREE}
        ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, claimed_by, attempt, request::text"""
NEXT_FREE = f"""
    SELECT extract(epoch FROM min(heartbeat_at) + interval '10 seconds' - now())::float AS seconds
    FROM responses WHERE {UNFINISHED} AND (claimed_by IS NULL OR claimed_by <> ALL(%s))"""
RELEASE = """
    WITH free AS (UPDATE responses SET claimed_by = NULL WHERE claimed_by = ANY(%s)
        RETURNING id)
    SELECT pg_notify(%s, id) FROM free"""
ENDED = "SELECT pg_notify(%s, %s || ' ended')"
DELETE = """
    WITH gone AS (DELETE FROM responses WHERE id = %s AND user_id = %s RETURNING id)
    SELECT id, pg_notify(%s, id || ' ended') FROM gone"""
CLEAN = f"""
    DELETE FROM responses
    WHERE NOT {UNFINISHED} AND created_at < now() - interval '{KEPT_DAYS} days'"""


@dataclass(frozen=True)
class Entry:
    """What is to be written down of one response; `body` is JSON, once it is final."""

    id: str
    claim: UUID | None
    status: str
    body: str | None
    start: int  # the place of the first event
    events: Sequence[Event]


def creation(
    turn: Turn, body: dict[str, Any], first: Event, key: str | None, fingerprint: str
) -> dict[str, Any]:
    """Return the values of CREATE but `claim` and `most`."""
    return {
        "id": turn.response_id, "user_id": turn.user.id, "thread_key": turn.thread_key,
        "request": TURN.dump_json(turn).decode(), "body": json.dumps(body),
        "kind": first[0], "event": first[1], "key": key, "fingerprint": fingerprint,
    }  # fmt: skip


def channel() -> str:
    """Return what this app's processes tell each other on; channels belong to the database."""
    return f"responses_{hashlib.md5(schema_name().encode()).hexdigest()}"


async def create_response_tables(connection: Connection) -> None:
    """Create the tables of background responses, or bring them up to date."""
    await migrate(connection, "responses", [TABLES])


async def rows(pool: Pool, query: str, values: Query = ()) -> list[DictRow]:
    """Return the rows of one of the queries above."""
    async with pool.connection() as connection:
        return await (await connection.execute(query, values)).fetchall()


async def events(connection: Connection, response_id: str) -> list[str]:
    """Return every event of the response, as JSON."""
    cursor = await connection.execute(EVENTS, [response_id])
    return [row["event"] for row in await cursor.fetchall()]


async def write(connection: Connection, entries: Sequence[Entry]) -> set[str]:
    """Write entries down; return the ids of the responses that were still their claims'."""
    states = [(entry.id, entry.claim, entry.status, entry.body) for entry in entries]
    places = [(e.id, e.start + i, *event) for e in entries for i, event in enumerate(e.events)]
    values = [*_columns(states, 4), *_columns(places, 4), channel()]
    return {row["id"] for row in await (await connection.execute(WRITE, values)).fetchall()}


def _columns(table: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[column] for row in table] for column in range(width)]
