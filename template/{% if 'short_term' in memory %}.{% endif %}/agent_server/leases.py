"""One turn per thread at a time, across processes: a lease row, renewed while the turn runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID, uuid4

import psycopg

from agent_server.errors import ApiError
from agent_server.lakebase import Pool

Lease = tuple[str, UUID]  # the thread, and who holds it

# A turn ends itself before its row expires; one that waits outlasts a killed process.
WAIT_SECONDS, TURN_SECONDS, RENEW_SECONDS = 15, 9, 3

TABLE = """
    CREATE TABLE IF NOT EXISTS turn_leases (
        thread_key text PRIMARY KEY, owner uuid NOT NULL, expires_at timestamptz NOT NULL)"""
ACQUIRE = """
    INSERT INTO turn_leases AS held VALUES (%s, %s, now() + interval '10 seconds')
    ON CONFLICT (thread_key) DO UPDATE
    SET owner = excluded.owner, expires_at = excluded.expires_at WHERE held.expires_at < now()"""
RENEW = """
    UPDATE turn_leases SET expires_at = now() + interval '10 seconds'
    WHERE thread_key = %s AND owner = %s AND expires_at > now()"""
RELEASE = "DELETE FROM turn_leases WHERE thread_key = %s AND owner = %s"


@asynccontextmanager
async def open_lease(pool: Pool, thread_key: str) -> AsyncIterator[None]:
    """Hold the thread while the body runs.

    Raises a 409 ApiError when another turn keeps the thread too long, or has taken it. When the
    lease is not renewed in time the body is cancelled, or it could lose what another turn stores;
    OperationalError if that was because the database is away.
    """
    lease, clock, away = (thread_key, uuid4()), asyncio.get_running_loop().time, False
    try:
        async with asyncio.timeout(WAIT_SECONDS) as deadline:
            while not await _execute(pool, ACQUIRE, lease):
                await asyncio.sleep(0.1)
            deadline.reschedule(clock() + TURN_SECONDS)
            renewal = asyncio.create_task(_renew(pool, lease, deadline))
            try:
                yield
            finally:
                away = renewal.cancel()  # else it has ended: the thread is another's
                # The turn may be ending because its reader left: the thread must be freed too.
                await asyncio.shield(_release(pool, lease))
    except TimeoutError as error:
        if not deadline.expired():  # the body's own
            raise
        if away:
            raise psycopg.OperationalError("the lease of a turn could not be renewed") from error
        text = "Another turn of this thread is still running. Send this one again."
        raise ApiError(409, "thread_busy", text, retry_after=1) from error


async def _renew(pool: Pool, lease: Lease, deadline: asyncio.Timeout) -> None:
    held = 1
    while held:
        await asyncio.sleep(RENEW_SECONDS)
        end = asyncio.get_running_loop().time() + TURN_SECONDS
        with suppress(psycopg.OperationalError):  # the next try may work, or the turn ends
            held = await _execute(pool, RENEW, lease)
            deadline.reschedule(end if held else 0)


async def _release(pool: Pool, lease: Lease) -> None:
    with suppress(psycopg.OperationalError):  # what the turn stored is safe; the lease expires
        await _execute(pool, RELEASE, lease)


async def _execute(pool: Pool, query: str, lease: Lease) -> int:
    async with pool.connection() as connection:
        return (await connection.execute(query, lease)).rowcount
