"""One turn per thread at a time, across processes: a lease row, renewed while the turn runs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg

from agent_server.database.migrations import migrate
from agent_server.database.pool import Connection, Pool
from agent_server.errors import ApiError
from agent_server.settings import limit

Lease = dict[str, str | UUID]  # the thread, its owner, and the background response it is for

POLL_SECONDS = 0.1
MARGIN_SECONDS = 1  # a turn is ended this long before its lease expires

TABLE = """
    CREATE TABLE IF NOT EXISTS turn_leases (
        thread_key text PRIMARY KEY, owner uuid NOT NULL, expires_at timestamptz NOT NULL)"""
ACQUIRE = """
    INSERT INTO turn_leases AS held
    SELECT %(thread_key)s, %(owner)s, now() + make_interval(secs => %(seconds)s)
    WHERE {condition}
    ON CONFLICT (thread_key) DO UPDATE
    SET owner = excluded.owner, expires_at = excluded.expires_at WHERE held.expires_at < now()"""
RENEW = """
    UPDATE turn_leases SET expires_at = now() + make_interval(secs => %(seconds)s)
    WHERE thread_key = %(thread_key)s AND owner = %(owner)s AND expires_at > now()"""
RELEASE = "DELETE FROM turn_leases WHERE thread_key = %(thread_key)s AND owner = %(owner)s"


async def create_lease_table(connection: Connection) -> None:
    """Create the table of leases, or bring it up to date."""
    await migrate(connection, "leases", [TABLE])


def do_nothing() -> None:
    """Do nothing while waiting for a lease."""


@asynccontextmanager
async def open_lease(
    pool: Pool,
    thread_key: str,
    response_id: str = "",
    condition: LiteralString = "true",
    while_waiting: Callable[[], None] = do_nothing,
) -> AsyncIterator[None]:
    """Hold the thread's lease while the body runs; wait for it while `condition`, SQL, is false.

    Raises a 409 ApiError when another turn holds the thread for THREAD_WAIT_SECONDS, or has taken
    it. If the lease is not renewed in time, the body is cancelled, because it could overwrite what
    another turn stores; raises psycopg.OperationalError if the database was unreachable.
    """
    lease: Lease = {"thread_key": thread_key, "response_id": response_id, "owner": uuid4()}
    database_is_away = False
    try:
        async with asyncio.timeout(limit("THREAD_WAIT_SECONDS")) as deadline:
            while not await _execute(pool, ACQUIRE.format(condition=condition), lease):
                while_waiting()
                await asyncio.sleep(POLL_SECONDS)
            deadline.reschedule(_end_of_turn())
            renewal = asyncio.create_task(_renew(pool, lease, deadline, asyncio.current_task()))
            try:
                yield
            finally:
                database_is_away = renewal.cancel()  # if not, it has ended: the lease was lost
                # Shielded: the thread must be freed even if the turn is cancelled.
                await asyncio.shield(_release(pool, lease))
    except TimeoutError as error:
        if not deadline.expired():  # raised by the body
            raise
        raise _lost(database_is_away) from error


def _lost(database_is_away: bool) -> Exception:
    if database_is_away:
        return psycopg.OperationalError("the lease of a turn could not be renewed")
    text = "Another turn of this thread is still running. Send this one again."
    return ApiError(409, "thread_busy", text, retry_after=1)


async def _renew(
    pool: Pool, lease: Lease, deadline: asyncio.Timeout, turn: asyncio.Task[Any] | None
) -> None:
    held = 1
    while held:
        await asyncio.sleep(limit("LEASE_RENEWAL_SECONDS"))
        end = _end_of_turn()
        with suppress(psycopg.OperationalError):  # the next try may work, or the turn ends
            held = await _execute(pool, RENEW, lease)
            # A turn that is already being cancelled is not cancelled again, to let it clean up.
            ending = turn is not None and turn.cancelling()
            deadline.reschedule(end if held or ending else 0)


def _end_of_turn() -> float:
    return asyncio.get_running_loop().time() + limit("LEASE_SECONDS") - MARGIN_SECONDS


async def _release(pool: Pool, lease: Lease) -> None:
    with suppress(psycopg.OperationalError):  # the turn's messages are safe; the lease expires
        await _execute(pool, RELEASE, lease)


async def _execute(pool: Pool, query: str, lease: Lease) -> int:
    async with pool.connection() as connection:
        values = {**lease, "seconds": limit("LEASE_SECONDS")}
        return (await connection.execute(query, values)).rowcount
