"""Connections that are never lost, whenever those who wait for or hold them are cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from psycopg import AsyncConnection
from psycopg.pq import PipelineStatus
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

Connection = AsyncConnection[DictRow]
Result = TypeVar("Result")

CLOSE_SECONDS = 2  # for what is still under way when the pool closes


class Pool(AsyncConnectionPool[Connection]):
    """A pool that loses no connection, whenever its users are cancelled.

    The library's own pool does: in Python 3.11 `asyncio.wait_for`, with which it waits, drops
    cancellations and connections, and in any Python a second cancellation interrupts how it takes
    a connection back. Here both happen in tasks that nobody cancels.
    """

    # Names with two underscores can't clash with those of the library's class.

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.__free = asyncio.Semaphore(self.max_size)
        self.__waiting = 0
        self.__under_way: set[asyncio.Task[Any]] = set()

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
        await super().putconn(conn)
        self.__free.release()
