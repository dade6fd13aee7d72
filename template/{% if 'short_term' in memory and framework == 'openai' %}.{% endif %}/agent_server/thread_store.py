"""Short-term memory: each thread's session, in the tables of `AsyncDatabricksSession`."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agents import SessionSettings, TResponseInputItem
from psycopg.rows import DictRow

from agent_server import leases
from agent_server.lakebase import Pool

# As `agents.extensions.memory.SQLAlchemySession` creates them.
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
ORDER = "WHERE session_id = %s ORDER BY created_at DESC, id DESC LIMIT"
LATEST = f"SELECT message_data FROM agent_messages {ORDER} %s"
POP = f"""
    DELETE FROM agent_messages WHERE id = (SELECT id FROM agent_messages {ORDER} 1)
    RETURNING message_data"""
ADD = """
    WITH session AS (INSERT INTO agent_sessions (session_id) VALUES (%s)
        ON CONFLICT (session_id) DO UPDATE SET updated_at = CURRENT_TIMESTAMP RETURNING session_id)
    INSERT INTO agent_messages (session_id, message_data)
    SELECT session_id, item FROM session, unnest(%s::text[]) WITH ORDINALITY AS new (item, place)
    ORDER BY place"""
CLEAR = "DELETE FROM agent_sessions WHERE session_id = %s"


class PostgresSession:
    """A session of the OpenAI Agents SDK over the process's pool; every method is one statement."""

    def __init__(self, pool: Pool, session_id: str) -> None:
        self.session_id = session_id
        self.session_settings: SessionSettings | None = None
        self._pool = pool

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Return the last `limit` items, or all of them, the oldest first."""
        rows = await self._execute(LATEST, limit)
        return [json.loads(row["message_data"]) for row in reversed(rows)]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append `items`: all of them, or none when it fails."""
        if items:
            await self._execute(ADD, [json.dumps(item) for item in items])

    async def pop_item(self) -> TResponseInputItem | None:
        """Remove the last item and return it; None when there is none."""
        rows = await self._execute(POP)
        return json.loads(rows[0]["message_data"]) if rows else None

    async def clear_session(self) -> None:
        """Remove the session with all its items."""
        await self._execute(CLEAR)

    async def _execute(self, query: str, *arguments: object) -> list[DictRow]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query, [self.session_id, *arguments])
            return await cursor.fetchall() if cursor.description else []


async def create_thread_tables(pool: Pool) -> None:
    """Create the tables of sessions, and of the leases that guard them."""
    async with pool.connection() as connection:
        await connection.execute(TABLES)
        await connection.execute(leases.TABLE)


@asynccontextmanager
async def open_thread(pool: Pool, thread_key: str) -> AsyncIterator[PostgresSession]:
    """Yield the session for one turn; the thread is this turn's alone until it ends."""
    async with leases.open_lease(pool, thread_key):
        yield PostgresSession(pool, thread_key)
