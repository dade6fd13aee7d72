"""The transactions that create and finish a background run, and what else is stored in them."""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

from agent_server.background import store
from agent_server.database.pool import Connection, Pool
from agent_server.errors import ApiError, to_api_error
from agent_server.responses.events import Event
from agent_server.responses.requests import Turn
from agent_server.settings import limit

log = logging.getLogger(__name__)

# Called in the transaction that creates a run.
OnCreate = Callable[[Connection], Awaitable[None]]
# Called in the transaction that finishes a run, with its turn and its final body.
OnFinish = Callable[[Connection, Turn, dict[str, Any]], Awaitable[None]]


def creation(
    turn: Turn, body: dict[str, Any], first: Event, key: str | None, fingerprint: str
) -> dict[str, Any]:
    """Return the parameters of CREATE, but for `claim`."""
    return {
        "id": turn.response_id, "user_id": turn.user.id, "thread_key": turn.thread_key,
        "request": store.TURN.dump_json(turn).decode(), "body": json.dumps(body),
        "kind": first[0], "event": first[1], "key": key, "fingerprint": fingerprint,
    }  # fmt: skip


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


async def finish(
    connection: Connection, on_finish: OnFinish | None, turn: Turn, body: dict[str, Any]
) -> None:
    """Call `on_finish`. If it fails, its changes are rolled back, and the run still finishes.

    Raises psycopg.Error when the database is in trouble, so that nothing is saved, and all of it is
    tried again.
    """
    if on_finish:
        try:
            async with connection.transaction():
                await on_finish(connection, turn, body)
        except Exception as error:  # whatever the project's own code raises
            if isinstance(error, psycopg.Error) and to_api_error(error).status_code == 503:
                raise
            log.exception("on_finish failed, and its changes were rolled back")
