"""Short-term memory: each thread's session, in the tables of `AsyncDatabricksSession`."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import LiteralString

from agents import TResponseInputItem

from agent_server.database.migrations import migrate
from agent_server.database.pool import Connection, Pool
from agent_server.database.text import storable
from agent_server.threads import lease
from agent_server.threads.window import bytes_read

# As `agents.extensions.memory.SQLAlchemySession` creates them: never change these.
TABLES = """
    CREATE TABLE IF NOT EXISTS agent_sessions (
        session_id varchar PRIMARY KEY,
        created_at timestamp DEFAULT CURRENT_TIMESTAMP NOT NULL,
        updated_at timestamp DEFAULT CURRENT_TIMESTAMP NOT NULL);
    CREATE TABLE IF NOT EXISTS agent_messages (
        id serial PRIMARY KEY,
        session_id varchar NOT NULL REFERENCES agent_sessions ON DELETE CASCADE,
        message_data text NOT NULL,
        created_at timestamp DEFAULT CURRENT_TIMESTAMP NOT NULL);
    CREATE INDEX IF NOT EXISTS idx_agent_messages_session_time
        ON agent_messages (session_id, created_at)"""
INDEX = """
    CREATE INDEX IF NOT EXISTS idx_agent_messages_session_id ON agent_messages (session_id, id)"""
# The newest items, as far as the model may see them: they are read from the index, backwards.
GET = """
    SELECT message_data,
        (SELECT count(*) FROM agent_messages WHERE session_id = %(session_id)s) AS total
    FROM (
        SELECT *, sum(octet_length(message_data)) OVER (ORDER BY id DESC) AS size
        FROM agent_messages WHERE session_id = %(session_id)s
        ORDER BY id DESC LIMIT %(rows)s) newest
    WHERE size <= %(bytes)s ORDER BY id"""
# The items are sent as binary: psycopg would escape texts letter by letter.
ADD = """
    WITH gone AS (DELETE FROM agent_messages WHERE id IN (
        SELECT id FROM agent_messages WHERE session_id = %(session_id)s
        ORDER BY id DESC LIMIT %(instead_of)s)),
    session AS (INSERT INTO agent_sessions (session_id) VALUES (%(session_id)s)
        ON CONFLICT (session_id) DO UPDATE SET updated_at = CURRENT_TIMESTAMP RETURNING session_id)
    INSERT INTO agent_messages (session_id, message_data)
    SELECT session_id, item
    FROM session, unnest(%(items)b::text[]) WITH ORDINALITY AS new (item, place) ORDER BY place"""

MOST_ITEMS = 2000  # that are read of a session

NEXT_THREADS = """
    SELECT session_id AS key FROM agent_sessions WHERE session_id > %(after)s
    ORDER BY session_id LIMIT %(page)s"""
IS_THERE = "SELECT FROM agent_sessions WHERE session_id = %(thread)s"
LAST_USED = "(SELECT updated_at::timestamptz FROM agent_sessions WHERE session_id = key)"


@dataclass
class Thread:
    """One session, which a turn has to itself."""

    pool: Pool
    session_id: str
    left_out: int = 0  # items before those that were read

    async def get_items(self) -> list[TResponseInputItem]:
        """Return the newest whole turns of the session, oldest first: all that may matter."""
        place = {"session_id": self.session_id, "rows": MOST_ITEMS, "bytes": bytes_read()}
        async with self.pool.connection() as connection:
            rows = await (await connection.execute(GET, place)).fetchall()
        items: list[TResponseInputItem] = [json.loads(row["message_data"]) for row in rows]
        whole = rows[0]["total"] == len(rows) if rows else True
        asked = [index for index, item in enumerate(items) if item.get("role") == "user"]
        items = items if whole else items[asked[0] if asked else 0 :]
        self.left_out = rows[0]["total"] - len(items) if rows else 0
        return items

    async def add_items(self, items: Sequence[TResponseInputItem], instead_of: int = 0) -> None:
        """Replace the last `instead_of` items with `items`: all of it, or nothing if that fails."""
        texts = [json.dumps(storable(item), ensure_ascii=False) for item in items]
        place = {"session_id": self.session_id, "instead_of": instead_of}
        async with self.pool.connection() as connection:
            await connection.execute(ADD, {**place, "items": texts})


async def create_thread_tables(connection: Connection) -> None:
    """Create the tables of sessions, and of the leases that guard them."""
    await migrate(connection, "sessions", [TABLES, INDEX])
    await lease.create_lease_table(connection)


@asynccontextmanager
async def open_thread(
    pool: Pool,
    thread_key: str,
    response_id: str = "",
    condition: LiteralString = "true",
    while_waiting: Callable[[], None] = lease.do_nothing,
) -> AsyncIterator[Thread]:
    """Yield the session for one turn, which has it to itself until it ends.

    Waits and raises as `open_lease` does.
    """
    async with lease.open_lease(pool, thread_key, response_id, condition, while_waiting):
        yield Thread(pool, thread_key)
