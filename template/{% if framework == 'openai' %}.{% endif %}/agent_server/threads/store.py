"""Short-term memory: each thread's session, in the tables of `AsyncDatabricksSession`."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

from agents import TResponseInputItem

from agent_server.database.migrations import migrate
from agent_server.database.pool import Connection, Pool
from agent_server.database.text import storable
from agent_server.threads import lease
from agent_server.threads.items import MOST_ITEMS, Items, from_rows
from agent_server.threads.messages import copies
from agent_server.threads.recent import Recent
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
# Which agent answers after a turn, by the turn's first message, where another one did before. That
# is no foreign key: where another role owns the tables of sessions, the app may not refer to them.
AGENTS = """
    CREATE TABLE IF NOT EXISTS session_agents (
        session_id varchar NOT NULL, message_id int NOT NULL, agent text NOT NULL,
        PRIMARY KEY (session_id, message_id))"""
# The newest items, as far as the model may see them: they are read from the index, backwards. None
# if the session is still as it was when `last` was the last of its `total` items.
GET = """
    WITH latest AS (
        SELECT max(id) AS last, count(*) AS total FROM agent_messages
        WHERE session_id = %(session_id)s),
    newest AS (
        SELECT id, message_data, sum(octet_length(message_data)) OVER (ORDER BY id DESC) AS size
        FROM agent_messages WHERE session_id = %(session_id)s
            AND (SELECT (last, total) IS DISTINCT FROM (%(last)s::int, %(total)s) FROM latest)
        ORDER BY id DESC LIMIT %(rows)s),
    read AS (SELECT id, message_data FROM newest WHERE size <= %(bytes)s),
    named AS (
        SELECT message_id, session_agents.agent
        FROM session_agents JOIN agent_messages held ON held.id = message_id
        WHERE session_agents.session_id = %(session_id)s),
    before AS (
        SELECT agent FROM named
        WHERE message_id < coalesce((SELECT min(id) FROM read), (SELECT last + 1 FROM latest))
        ORDER BY message_id DESC LIMIT 1)
    SELECT last, total, message_data, named.agent, (SELECT agent FROM before) AS before
    FROM latest LEFT JOIN read ON true LEFT JOIN named ON message_id = id ORDER BY id"""
# The items are sent as binary: psycopg would escape texts letter by letter.
ADD = """
    WITH gone AS (DELETE FROM agent_messages WHERE id IN (
        SELECT id FROM agent_messages WHERE session_id = %(session_id)s
        ORDER BY id DESC LIMIT %(instead_of)s)),
    session AS (INSERT INTO agent_sessions (session_id) VALUES (%(session_id)s)
        ON CONFLICT (session_id) DO UPDATE SET updated_at = CURRENT_TIMESTAMP RETURNING session_id)
    INSERT INTO agent_messages (session_id, message_data)
    SELECT session_id, item
    FROM session, unnest(%(items)b::text[]) WITH ORDINALITY AS new (item, place) ORDER BY place
    RETURNING id"""
NAME = "INSERT INTO session_agents VALUES (%(session_id)s, %(message_id)s, %(agent)s)"

NEXT_THREADS = """
    SELECT session_id AS key FROM agent_sessions WHERE session_id > %(after)s
    ORDER BY session_id LIMIT %(page)s"""
IS_THERE = "SELECT FROM agent_sessions WHERE session_id = %(thread)s"
LAST_USED = "(SELECT updated_at::timestamptz FROM agent_sessions WHERE session_id = key)"

RecentThreads = Recent[Items]


@dataclass
class Thread:
    """One session, which a turn has to itself."""

    pool: Pool
    session_id: str
    recent: RecentThreads
    left_out: int = 0  # items before those that were read
    agent: str = ""  # that answered those

    async def get_items(self) -> list[TResponseInputItem]:
        """Return the newest whole turns of the session, oldest first: all that may matter."""
        read = await self._read()
        before, start = read.total - len(read.found), 0
        if before:  # the first turn may not be whole
            roles = (item.get("role") for item in read.found)
            start = next((index for index, role in enumerate(roles) if role == "user"), 0)
        self.left_out, self.agent = before + start, read.agent
        return copies(read.found[start:])

    async def add_items(
        self, items: Sequence[TResponseInputItem], instead_of: int = 0, agent: str = ""
    ) -> None:
        """Replace the last `instead_of` items with `items`: all of it, or nothing if that fails.

        `agent` is the one that answers after them, if it is not the one that did before.
        """
        texts = [json.dumps(storable(item), ensure_ascii=False) for item in items]
        place = {"session_id": self.session_id, "instead_of": instead_of}
        async with self.pool.connection() as connection:
            if agent:
                async with connection.transaction():
                    ids = await self._add(connection, place, texts)
                    await connection.execute(NAME, {**place, "message_id": ids[0], "agent": agent})
            else:
                ids = await self._add(connection, place, texts)
        self._remember(texts, max(ids, default=None), instead_of, agent)

    async def _add(
        self, connection: Connection, place: dict[str, Any], texts: list[str]
    ) -> list[int]:
        """Return the ids of the items that are added, in order."""
        added = await connection.execute(ADD, {**place, "items": texts})
        return sorted(row["id"] for row in await added.fetchall())

    async def _read(self) -> Items:
        kept = (self.recent.find(self.session_id) or (Items(-1, -1), 0))[0]
        limits = {"rows": MOST_ITEMS, "bytes": bytes_read()}
        place = {"session_id": self.session_id, "last": kept.last, "total": kept.total, **limits}
        async with self.pool.connection() as connection:
            rows = await (await connection.execute(GET, place)).fetchall()
        if (rows[0]["last"], rows[0]["total"]) == (kept.last, kept.total):
            return kept
        found = from_rows(rows)
        self.recent.keep(self.session_id, found, found.size)
        return found

    def _remember(self, texts: list[str], last: int | None, instead_of: int, agent: str) -> None:
        held, _ = self.recent.find(self.session_id) or (None, 0)
        self.recent.drop(self.session_id)
        if held and last is not None and instead_of <= len(held.found):
            new = held.followed_by(texts, last, instead_of, agent)
            self.recent.keep(self.session_id, new, new.size)


async def create_thread_tables(connection: Connection) -> None:
    """Create the tables of sessions, and of the leases that guard them."""
    await migrate(connection, "sessions", [TABLES, INDEX, AGENTS])
    await lease.create_lease_table(connection)


@asynccontextmanager
async def open_thread(
    pool: Pool,
    thread_key: str,
    response_id: str = "",
    condition: LiteralString = "true",
    while_waiting: Callable[[], None] = lease.do_nothing,
    recent: RecentThreads | None = None,
) -> AsyncIterator[Thread]:
    """Yield the session for one turn, which has it to itself until it ends.

    Waits and raises as `open_lease` does.
    """
    async with lease.open_lease(pool, thread_key, response_id, condition, while_waiting):
        yield Thread(pool, thread_key, recent or RecentThreads())
