"""Short-term memory: each thread's checkpoints, in the tables of `AsyncCheckpointSaver`."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import LiteralString

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from agent_server.database.pool import Connection, Pool
from agent_server.threads import lease


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
) -> AsyncIterator[AsyncPostgresSaver]:
    """Yield the checkpointer for one turn, which has the thread to itself until it ends.

    Waits and raises as `open_lease` does.
    """
    async with lease.open_lease(pool, thread_key, response_id, condition, while_waiting):
        # One per turn: a saver runs one operation at a time, for all of its callers.
        yield AsyncPostgresSaver(pool)
