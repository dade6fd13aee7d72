"""One turn per thread at a time, across processes: a lease row, renewed while the turn runs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any, LiteralString
from uuid import uuid4

import psycopg

from agent_server.database.migrations import migrate
from agent_server.database.pool import Connection, Pool
from agent_server.errors import ApiError
from agent_server.settings import limit

POLL_SECONDS = 0.1
MARGIN_SECONDS = 1  # a turn is ended this long before its lease expires
RELEASE_SECONDS = 1  # that a turn waits for the release of its lease
RELEASE_TRIES = 3  # over connections that may break

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
    it, and psycopg.Error when the database fails or does not answer. When the lease is lost, the
    body is cancelled, because it could overwrite what another turn stores.
    """
    lease = _Lease(pool, {"thread_key": thread_key, "response_id": response_id, "owner": uuid4()})
    try:
        await lease.acquire(condition, while_waiting)
        async with _renewed(lease):
            yield
    finally:
        await lease.release()


class _Lease:
    """One turn's lease of its thread, which it may not hold yet, or no longer."""

    def __init__(self, pool: Pool, values: dict[str, Any]) -> None:
        self._pool, self._values = pool, values
        self._end = 0.0  # when the turn must have ended
        self._may_be_held = False
        self._asked: asyncio.Task[int] | None = None

    async def acquire(self, condition: LiteralString, while_waiting: Callable[[], None]) -> None:
        """Wait for the lease; raises as `open_lease` does."""
        query = ACQUIRE.format(condition=condition)
        give_up = monotonic() + limit("THREAD_WAIT_SECONDS")
        while not await self._ask(query, limit("CONNECT_SECONDS")):
            # Only here, where the database has just said that another turn holds the thread.
            if monotonic() > give_up:
                raise _busy("Another turn of this thread is still running.")
            while_waiting()
            await asyncio.sleep(POLL_SECONDS)

    async def renew_until_lost(self) -> Exception:
        """Renew the lease for as long as that works; return why it is lost."""
        failure: Exception = psycopg.OperationalError("the lease could not be renewed")
        while (left := self._end - monotonic()) > 0:
            await asyncio.sleep(min(left, limit("LEASE_RENEWAL_SECONDS")))
            try:
                if not await self._ask(RENEW, self._end - monotonic()):
                    return _busy("Another turn has taken this thread, or it was deleted.")
            except psycopg.Error as error:  # the next try may work
                failure = error
        return failure

    async def release(self) -> None:
        """Release the lease, even if the database grants it only after this was called."""
        if self._may_be_held:
            await asyncio.wait([self._pool.apart(self._release())], timeout=RELEASE_SECONDS)
        elif self._asked:
            self._asked.cancel()  # it still waits for a connection

    async def _release(self) -> None:
        if self._asked:
            await asyncio.gather(self._asked, return_exceptions=True)
        for _ in range(RELEASE_TRIES):
            with suppress(psycopg.Error):  # after the last, the lease expires
                await self._execute(RELEASE)
                return

    async def _ask(self, query: LiteralString, seconds: float) -> bool:
        """Return whether the lease is held; raises OperationalError after so many seconds."""
        sent = monotonic()
        # Apart: a query that is cut off may still be done, even after the release.
        self._asked = self._pool.apart(self._execute(query))
        await asyncio.wait([self._asked], timeout=max(seconds, 0))
        if not self._asked.done():
            raise psycopg.OperationalError("the database does not answer")
        self._may_be_held = self._asked.result() > 0
        if self._may_be_held:
            self._end = sent + limit("LEASE_SECONDS") - MARGIN_SECONDS
        return self._may_be_held

    async def _execute(self, query: LiteralString) -> int:
        async with self._pool.connection() as connection:
            self._may_be_held = True  # unless the answer says otherwise
            values = {**self._values, "seconds": limit("LEASE_SECONDS")}
            return (await connection.execute(query, values)).rowcount


@asynccontextmanager
async def _renewed(lease: _Lease) -> AsyncIterator[None]:
    renewal, failure = _Renewal(lease), None
    try:
        yield
        await asyncio.sleep(0)  # for a cancellation that the end of the body was faster than
    except (Exception, asyncio.CancelledError) as error:
        failure = error
    finally:
        renewal.stop()
    if lost := renewal.failure():
        raise lost from failure
    if failure:
        raise failure


class _Renewal:
    """Renews a lease while the current task runs, which is cancelled once the lease is lost."""

    def __init__(self, lease: _Lease) -> None:
        turn = asyncio.current_task()
        assert turn
        self._turn, self._cancelled_before, self._cancels = turn, turn.cancelling(), 0
        self._lost: BaseException | None = None
        self._cancelling: asyncio.TimerHandle | None = None
        self._task = asyncio.create_task(lease.renew_until_lost())
        self._task.add_done_callback(self._on_lost)

    def stop(self) -> None:
        """Renew no more, and leave the turn alone."""
        self._task.remove_done_callback(self._on_lost)
        self._task.cancel()
        if self._cancelling:
            self._cancelling.cancel()

    def failure(self) -> BaseException | None:
        """Return why the lease was lost; None if it was not, or if others cancel the turn."""
        for _ in range(self._cancels):
            self._turn.uncancel()
        return None if self._cancelled else self._lost

    @property
    def _cancelled(self) -> bool:
        return self._turn.cancelling() > self._cancelled_before

    def _on_lost(self, task: asyncio.Task[Exception]) -> None:
        if not task.cancelled():
            # Whatever ended the renewal: the turn may not go on without it.
            self._lost = task.exception() or task.result()
            # A turn that is being cancelled already may first clean up.
            self._cancel_turn(after=limit("CANCEL_SECONDS") if self._cancelled else 0)

    def _cancel_turn(self, after: int) -> None:
        self._cancelling = asyncio.get_running_loop().call_later(after, self._cancel_now)

    def _cancel_now(self) -> None:
        self._turn.cancel()
        self._cancels += 1
        # Libraries may lose a cancellation, in Python 3.11 by `asyncio.wait_for`.
        self._cancel_turn(after=limit("CANCEL_SECONDS"))


def _busy(text: str) -> ApiError:
    return ApiError(409, "thread_busy", f"{text} Send this one again.", retry_after=1)
