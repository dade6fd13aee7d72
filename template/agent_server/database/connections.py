"""Connections that are never lost, and never wait for ever.

Whoever waits for or holds one may be cancelled at any moment, and Postgres may freeze.
"""

import asyncio
import socket
import struct
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any, TypeVar

from psycopg import AsyncConnection, Error
from psycopg.abc import RV, PQGen
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import DictRow, Row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from agent_server.errors import AppDatabaseError
from agent_server.settings import limit

Connection = AsyncConnection[DictRow]
Result = TypeVar("Result")

FRESH_SECONDS = 2  # after an answer, while a connection is taken for alive
CLOSE_SECONDS = 2  # for what is still under way when the pool closes
LARGE_BYTES = 1 << 20  # sent and received in one use: libpq's buffers stay that large
RENEW_SECONDS = 5  # after such a use, until the pool replaces its connections
COUNTS = 120  # where Linux's `struct tcp_info` counts the bytes sent, and then those received


class Pool(AsyncConnectionPool[Connection]):
    """A pool that loses no connection, whenever its users are cancelled.

    The library's own pool does: in Python 3.11 `asyncio.wait_for`, with which it waits, drops
    cancellations and connections, and in any Python a second cancellation interrupts how it takes
    a connection back. Here both happen in tasks that nobody cancels.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)  # its names begin with one underscore at most
        self.__free = asyncio.Semaphore(self.max_size)
        self.__waiting = 0
        self.__under_way: set[asyncio.Task[Any]] = set()
        self.__renewal: asyncio.TimerHandle | None = None

    async def getconn(self, timeout: float | None = None) -> Connection:  # noqa: ASYNC109
        """Take a connection out of the pool.

        Raises PoolTimeout after `timeout` seconds, even if the database hangs.
        """
        seconds = self.timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(seconds):
                await self.__wait_for_one()
                return await self.__take(seconds)
        except TimeoutError as error:
            raise PoolTimeout(f"couldn't get a connection after {seconds:.2f} sec") from error

    async def putconn(self, conn: Connection) -> None:
        """Give a connection back."""
        await asyncio.shield(self.apart(self.__put(conn)))

    def apart(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Do `work` in a task of its own; closing the pool waits for it."""
        task = asyncio.create_task(work)
        self.__under_way.add(task)
        task.add_done_callback(self.__under_way.discard)
        return task

    def get_stats(self) -> dict[str, int]:
        """Return what the library's pool counts, and in `requests_waiting` all who wait."""
        stats = super().get_stats()
        stats["requests_waiting"] += self.__waiting
        return stats

    async def close(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """Close the pool, once what is under way has ended."""
        if self.__under_way:
            await asyncio.wait(self.__under_way, timeout=CLOSE_SECONDS)
        await super().close(timeout)

    async def __wait_for_one(self) -> None:
        # Not in the library's queue: those who leave that one stay in it.
        self.__waiting += 1
        try:
            await self.__free.acquire()
        finally:
            self.__waiting -= 1

    async def __take(self, seconds: float) -> Connection:
        taking = self.apart(super().getconn(seconds))
        try:
            return await asyncio.shield(taking)
        except BaseException:
            self.apart(self.__put_unwanted(taking))
            raise

    async def __put_unwanted(self, taking: asyncio.Task[Connection]) -> None:
        await asyncio.wait([taking])
        if taking.cancelled() or taking.exception():
            self.__free.release()
        else:
            await self.__put(taking.result())

    async def __put(self, conn: Connection) -> None:
        if conn.pgconn.pipeline_status != PipelineStatus.OFF:  # its pipeline was cut off
            await conn.close()
        elif isinstance(conn, BoundedConnection) and conn.carried() > LARGE_BYTES:
            loop = asyncio.get_running_loop()
            self.__renewal = self.__renewal or loop.call_later(RENEW_SECONDS, self.__renew)
        await super().putconn(conn)
        self.__free.release()

    def __renew(self) -> None:
        self.__renewal = None
        if not self.closed:
            self.apart(self.drain())


class BoundedConnection(AsyncConnection[Row]):
    """A connection that hangs up when a statement is not answered in time.

    Postgres itself ends a statement that takes too long. A server that is frozen or out of reach
    can't: it would be waited for for ever. Whoever waits gets a psycopg.OperationalError.
    """

    answer_seconds = 0
    answered_at = float("-inf")
    _carried = 0

    async def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:
        """Wait for what `gen` does on the connection, as psycopg does for each statement."""
        seconds = self.answer_seconds or limit("STATEMENT_SECONDS") + limit("ANSWER_SECONDS")
        timer = asyncio.get_running_loop().call_later(seconds, self._hang_up)
        try:
            answer = await super().wait(gen, *args, **kwargs)
            self.answered_at = monotonic()
            return answer
        except Error as error:
            raise error from AppDatabaseError()
        finally:
            timer.cancel()

    def _hang_up(self) -> None:
        # Who listens for notifications is not active, and may wait for as long as they like.
        if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
            return
        # Not a cancellation: it would ask the same server to cancel, and could lose the connection.
        with _socket_of(self) as end:
            end.shutdown(socket.SHUT_RDWR)

    def carried(self) -> int:
        """Return how many bytes were sent and received since the last call, where Linux tells."""
        before = self._carried
        if sys.platform == "linux" and not self.closed:
            with _socket_of(self) as end, suppress(OSError, struct.error):  # where nothing counts
                counts = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, COUNTS + 16)
                self._carried = sum(struct.unpack_from("QQ", counts, COUNTS))
        return self._carried - before


def is_fresh(connection: AsyncConnection[Any]) -> bool:
    """Return whether Postgres has just answered on a connection, and has not hung up since.

    Asking it would cost a round trip for every statement of a turn. Whoever hangs up is heard: the
    socket has something to read.
    """
    assert isinstance(connection, BoundedConnection)
    if monotonic() - connection.answered_at > FRESH_SECONDS:
        return False
    with _socket_of(connection) as end, suppress(OSError):
        end.setblocking(False)
        try:
            end.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
    return False


@contextmanager
def _socket_of(connection: AsyncConnection[Any]) -> Iterator[socket.socket]:
    end = socket.socket(fileno=connection.pgconn.socket)
    try:
        yield end
    finally:
        end.detach()  # the connection still closes it


@contextmanager
def answers_within(connection: AsyncConnection[Any], seconds: int) -> Iterator[None]:
    """Give the server `seconds` for each answer to the statements in the body."""
    assert isinstance(connection, BoundedConnection)
    before, connection.answer_seconds = connection.answer_seconds, seconds
    try:
        yield
    finally:
        connection.answer_seconds = before
