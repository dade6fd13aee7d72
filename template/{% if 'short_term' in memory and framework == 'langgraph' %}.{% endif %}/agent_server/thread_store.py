"""Short-term memory: each thread's checkpoints, in the tables of `AsyncCheckpointSaver`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from agent_server import leases
from agent_server.lakebase import Connection, Pool


async def create_thread_tables(connection: Connection) -> None:
    """Create the tables of threads, and of the leases that guard them."""
    await AsyncPostgresSaver(connection).setup()
    await leases.create_lease_table(connection)


@asynccontextmanager
async def open_thread(
    pool: Pool, thread_key: str, response_id: str = ""
) -> AsyncIterator[AsyncPostgresSaver]:
    """Yield the checkpointer for one turn; the thread is this turn's alone until it ends."""
    async with leases.open_lease(pool, thread_key, response_id):
        # One for each turn: a saver does one thing at a time, whoever asks.
        yield AsyncPostgresSaver(pool)
