"""Short-term memory: each thread's checkpoints, in the tables of `AsyncCheckpointSaver`."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import LiteralString

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from agent_server.database.pool import Connection, Pool
from agent_server.threads import lease
from agent_server.threads.saver import RecentThreads as RecentThreads
from agent_server.threads.saver import Saver

# The next threads: each is found by a look into the index, however many checkpoints there are.
NEXT_THREADS = """
    WITH RECURSIVE next AS (
        SELECT min(thread_id) AS key, 1 AS place FROM checkpoints WHERE thread_id > %(after)s
        UNION ALL
        SELECT (SELECT min(thread_id) FROM checkpoints WHERE thread_id > key), place + 1
        FROM next WHERE key IS NOT NULL AND place < %(page)s)
    SELECT key FROM next WHERE key IS NOT NULL"""
IS_THERE = "SELECT FROM checkpoints WHERE thread_id = %(thread)s"
LAST_USED = """(
    SELECT (checkpoint->>'ts')::timestamptz FROM checkpoints
    WHERE thread_id = key AND checkpoint_ns = '' ORDER BY checkpoint_id DESC LIMIT 1)"""


async def create_thread_tables(connection: Connection) -> None:
    """Create the tables of threads, and of the leases that guard them."""
    await AsyncPostgresSaver(connection).setup()
    await lease.create_lease_table(connection)


@asynccontextmanager
async def open_thread(
    pool: Pool,
    thread_key: str,
    response_id: str = "",
    condition: LiteralString = "true",
    while_waiting: Callable[[], None] = lease.do_nothing,
    recent: RecentThreads | None = None,
) -> AsyncIterator[Saver]:
    """Yield the checkpointer for one turn, which has the thread to itself until it ends.

    Waits and raises as `open_lease` does.
    """
    async with lease.open_lease(pool, thread_key, response_id, condition, while_waiting):
        # One per turn: a saver runs one operation at a time, for all of its callers.
        yield Saver(pool, recent or RecentThreads())
