"""Stores a new background run, or says why it can't be."""

from collections.abc import Awaitable, Callable
from typing import Any

from agent_server.background import store
from agent_server.database.pool import Connection, Pool
from agent_server.errors import ApiError
from agent_server.settings import limit

# Called in the transaction that creates a run.
OnCreate = Callable[[Connection], Awaitable[None]]


async def store_run(pool: Pool, on_create: OnCreate | None, row: dict[str, Any]) -> bool:
    """Store a run, given the parameters of CREATE; return whether it may be.

    `on_create(connection)` is awaited in the same transaction. The run may not be stored when its
    user has too many, its thread has an unfinished one, or its key was used.
    """
    async with pool.connection() as connection, connection.pipeline(), connection.transaction():
        # Sent together: only a result that is read is waited for.
        await store.execute(connection, store.LOCK_USER, **row)
        cursor = await store.execute(connection, store.CREATE, **row)
        stored = await cursor.fetchone() is not None
        if stored and on_create:
            await on_create(connection)
    return stored


async def earlier_run(pool: Pool, row: dict[str, Any]) -> str:
    """Return the id of the run that was stored under the same key.

    Raises the ApiError that says why there is none, and the new one may not be stored either.
    """
    for same in await store.rows(pool, store.SAME_KEY, **row):
        if same["fingerprint"] == row["fingerprint"]:
            return str(same["id"])
        raise ApiError(422, "key_reused", "This Idempotency-Key was used for another request.")
    if await store.rows(pool, store.BUSY, **row):
        text = "The last answer in this thread is unfinished. Wait for it, or cancel it."
        raise ApiError(409, "thread_busy", text, 1)
    most = limit("BACKGROUND_RUNS_PER_USER")
    text = f"You have {most} unfinished background runs. Wait for one to finish, or cancel one."
    raise ApiError(429, "too_many_runs", text, 5)
