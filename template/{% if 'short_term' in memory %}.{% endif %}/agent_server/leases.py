"""One turn per thread at a time, across processes: a lease row, renewed while the turn runs."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import psycopg

from agent_server.errors import ApiError
from agent_server.lakebase import Pool

log = logging.getLogger(__name__)

# A killed process frees its threads after LEASE_SECONDS; a waiting turn outlasts that.
LEASE_SECONDS = 10
RENEW_SECONDS = 3
WAIT_SECONDS = 15

TABLE = """
    CREATE TABLE IF NOT EXISTS turn_leases (
        thread_key text PRIMARY KEY,
        owner uuid NOT NULL,
        expires_at timestamptz NOT NULL
    )
"""
ACQUIRE = """
    INSERT INTO turn_leases AS held VALUES (%s, %s, now() + make_interval(secs => %s))
    ON CONFLICT (thread_key)
    DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
    WHERE held.expires_at < now()
"""
RENEW = """
    UPDATE turn_leases SET expires_at = now() + make_interval(secs => %s)
    WHERE thread_key = %s AND owner = %s
"""
RELEASE = "DELETE FROM turn_leases WHERE thread_key = %s AND owner = %s"


async def create_table(pool: Pool) -> None:
    """Create the table of leases."""
    async with pool.connection() as connection:
        await connection.execute(TABLE)


@asynccontextmanager
async def open_lease(pool: Pool, thread_key: str) -> AsyncIterator[None]:
    """Hold the thread while the body runs.

    Raises a 409 ApiError when another turn keeps the thread too long, and a 503 when the lease
    could not be renewed: going on could lose what another turn stores.
    """
    owner = uuid4()
    await _acquire(pool, thread_key, owner)
    turn = asyncio.current_task()
    assert turn is not None
    renewal = asyncio.create_task(_renew(pool, thread_key, owner, turn))
    try:
        yield
    except asyncio.CancelledError:
        if not renewal.done():
            raise
        turn.uncancel()
        raise ApiError(503, "thread_lost", "The turn was interrupted. Send it again.") from None
    finally:
        renewal.cancel()
        # The turn may be ending because its reader left: the thread must be freed all the same.
        await asyncio.shield(_release(pool, thread_key, owner))


async def _acquire(pool: Pool, thread_key: str, owner: UUID) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    pause = 0.02
    while not await _execute(pool, ACQUIRE, thread_key, owner, LEASE_SECONDS):
        if time.monotonic() > deadline:
            text = "Another turn of this thread is still running. Send this one again."
            raise ApiError(409, "thread_busy", text, retry_after=1)
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.5)


async def _renew(pool: Pool, thread_key: str, owner: UUID, turn: asyncio.Task[object]) -> None:
    renewed = time.monotonic()
    while time.monotonic() - renewed < LEASE_SECONDS:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            if not await _execute(pool, RENEW, LEASE_SECONDS, thread_key, owner):
                break
            renewed = time.monotonic()
        except psycopg.OperationalError as error:
            log.warning("could not renew the lease of a turn: %s", error)
    turn.cancel()


async def _release(pool: Pool, thread_key: str, owner: UUID) -> None:
    try:
        await _execute(pool, RELEASE, thread_key, owner)
    except psycopg.OperationalError as error:
        # What the turn stored is safe, and the lease ends by itself.
        log.warning("could not release the lease of a turn: %s", error)


async def _execute(pool: Pool, query: str, *arguments: object) -> int:
    async with pool.connection() as connection:
        return (await connection.execute(query, arguments)).rowcount
