"""One turn per thread at a time, across processes: a lease row, renewed while the turn runs."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import psycopg

from agent_server.errors import ApiError
from agent_server.lakebase import Pool

log = logging.getLogger(__name__)

# A killed process frees its threads after LEASE_SECONDS; a waiting turn outlasts that.
LEASE_SECONDS, RENEW_SECONDS, WAIT_SECONDS = 10, 3, 15

TABLE = """
    CREATE TABLE IF NOT EXISTS turn_leases (
        thread_key text PRIMARY KEY, owner uuid NOT NULL, expires_at timestamptz NOT NULL)"""
ACQUIRE = """
    INSERT INTO turn_leases AS held VALUES (%s, %s, now() + make_interval(secs => %s))
    ON CONFLICT (thread_key) DO UPDATE
    SET owner = excluded.owner, expires_at = excluded.expires_at WHERE held.expires_at < now()"""
RENEW = """
    UPDATE turn_leases SET expires_at = now() + make_interval(secs => %s)
    WHERE thread_key = %s AND owner = %s AND expires_at > now()"""
RELEASE = "DELETE FROM turn_leases WHERE thread_key = %s AND owner = %s"


@asynccontextmanager
async def open_lease(pool: Pool, thread_key: str) -> AsyncIterator[None]:
    """Hold the thread while the body runs.

    Raises a 409 ApiError when another turn keeps the thread too long. Cancels the body when the
    lease could not be renewed: going on could lose what another turn stores.
    """
    owner, turn = uuid4(), asyncio.current_task()
    await _acquire(pool, thread_key, owner)
    renewal = asyncio.create_task(_renew(pool, thread_key, owner))
    renewal.add_done_callback(lambda task: task.cancelled() or (turn and turn.cancel()))
    try:
        yield
    finally:
        renewal.cancel()
        # The turn may be ending because its reader left: the thread must be freed all the same.
        await asyncio.shield(_release(pool, thread_key, owner))


async def _acquire(pool: Pool, thread_key: str, owner: UUID) -> None:
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while not await _execute(pool, ACQUIRE, thread_key, owner, LEASE_SECONDS):
                await asyncio.sleep(0.1)
    except TimeoutError:
        text = "Another turn of this thread is still running. Send this one again."
        raise ApiError(409, "thread_busy", text, retry_after=1) from None


async def _renew(pool: Pool, thread_key: str, owner: UUID) -> None:
    """Return when the lease is lost."""
    renewed = 1
    while renewed:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            renewed = await _execute(pool, RENEW, LEASE_SECONDS, thread_key, owner)
        except psycopg.OperationalError as error:
            log.warning("could not renew the lease of a turn: %s", error)


async def _release(pool: Pool, thread_key: str, owner: UUID) -> None:
    try:
        await _execute(pool, RELEASE, thread_key, owner)
    except psycopg.OperationalError as error:
        # What the turn stored is safe, and the lease ends by itself.
        log.warning("could not release the lease of a turn: %s", error)


async def _execute(pool: Pool, query: str, *arguments: object) -> int:
    async with pool.connection() as connection:
        return (await connection.execute(query, arguments)).rowcount
