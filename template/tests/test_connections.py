"""Connections to Postgres: no cancellation of those who wait for one or hold it loses it."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from psycopg_pool import PoolTimeout

from agent_server.database.connections import RENEW_SECONDS, BoundedConnection, Pool

SIZE = 4
HANGS = "SELECT pg_sleep(60)"
THERE = "SELECT FROM pg_stat_activity WHERE pid = %s"
OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lost'"

pytestmark = pytest.mark.usefixtures("server")


@asynccontextmanager
async def open_small_pool() -> AsyncIterator[Pool]:
    options = {"min_size": 1, "max_size": SIZE, "timeout": 10, "check": Pool.check_connection}
    kwargs = {"autocommit": True, "application_name": "lost"}
    options["connection_class"] = BoundedConnection
    async with Pool(os.environ["DATABASE_URL"], open=False, kwargs=kwargs, **options) as pool:
        yield pool
        await use_every_connection(pool)


async def use_every_connection(pool: Pool) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(SIZE):
            connection = await stack.enter_async_context(pool.connection())
            assert (await connection.execute("SELECT 1")).rowcount == 1
        assert pool.get_stats()["pool_size"] == SIZE


async def hold(pool: Pool, query: str = HANGS) -> None:
    async with pool.connection() as connection:
        await connection.execute(query)


async def cancel(*tasks: asyncio.Task[None], times: int = 1) -> None:
    for _ in range(times):
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait(tasks, timeout=10)
    assert all(task.cancelled() for task in tasks)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_connection_whose_holder_is_cancelled_is_free_again(times: int) -> None:
    async def main() -> None:
        async with open_small_pool() as pool:
            holders = [asyncio.create_task(hold(pool)) for _ in range(SIZE)]
            await asyncio.sleep(0.2)
            await cancel(*holders, times=times)

    asyncio.run(main())


def test_who_is_cancelled_while_waiting_stands_in_nobodys_way() -> None:
    async def main() -> None:
        async with open_small_pool() as pool:
            holders = [asyncio.create_task(hold(pool)) for _ in range(SIZE)]
            await asyncio.sleep(0.2)
            waiting = [asyncio.create_task(hold(pool)) for _ in range(50)]
            await asyncio.sleep(0.01)
            assert pool.get_stats()["requests_waiting"] == 50
            await cancel(*waiting)
            assert pool.get_stats()["requests_waiting"] == 0
            await cancel(*holders)

    asyncio.run(main())


def test_no_moment_of_a_cancellation_loses_a_connection_or_is_forgotten() -> None:
    async def use(pool: Pool) -> None:
        while True:
            await hold(pool, "SELECT 1")

    async def main() -> None:
        chance = random.Random(1)
        async with open_small_pool() as pool:
            for _ in range(20):
                users = [asyncio.create_task(use(pool)) for _ in range(3 * SIZE)]
                await asyncio.sleep(chance.random() / 50)
                await cancel(*users, times=chance.choice([1, 2]))

    asyncio.run(main())


def test_who_waits_too_long_is_told_so_and_the_connection_is_free_afterwards() -> None:
    async def main() -> None:
        async with open_small_pool() as pool:
            holders = [asyncio.create_task(hold(pool)) for _ in range(SIZE)]
            await asyncio.sleep(0.2)
            with pytest.raises(PoolTimeout):
                await pool.getconn(timeout=0.1)
            await cancel(*holders)

    asyncio.run(main())


def test_connections_that_break_are_replaced() -> None:
    async def main() -> None:
        async with open_small_pool() as pool, open_small_pool() as other:
            await use_every_connection(pool)
            async with other.connection() as connection:
                await connection.execute(f"{OTHERS} AND pid <> pg_backend_pid()")

    asyncio.run(main())


def test_a_connection_is_given_back_once() -> None:
    async def main() -> None:
        async with open_small_pool() as pool:
            connection = await pool.getconn()
            await pool.putconn(connection)
            with pytest.raises(ValueError):
                await pool.putconn(connection)

    asyncio.run(main())


def test_a_cancelled_pipeline_leaves_no_connection_behind_that_is_in_it() -> None:
    async def use(pool: Pool) -> None:
        async with pool.connection() as connection, connection.pipeline():
            while True:
                await (await connection.execute("SELECT 2")).fetchone()

    async def main() -> None:
        chance = random.Random(2)
        async with open_small_pool() as pool:
            for _ in range(20):
                users = [asyncio.create_task(use(pool)) for _ in range(SIZE)]
                await asyncio.sleep(chance.random() / 50)
                await cancel(*users, times=chance.choice([1, 2]))

    asyncio.run(main())


async def stays(text: str) -> bool:
    """Return whether a connection is still there a while after it was sent a text."""
    async with open_small_pool() as pool:
        async with pool.connection() as connection:
            pid = connection.info.backend_pid
            await connection.execute("SELECT %s::text", [text])
        await asyncio.sleep(RENEW_SECONDS + 1)
        async with pool.connection() as connection:
            return (await connection.execute(THERE, [pid])).rowcount == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts what a connection carried")
def test_the_memory_of_a_large_statement_is_not_kept() -> None:
    async def main() -> tuple[bool, bool]:
        large, small = await asyncio.gather(stays("x" * 2_000_000), stays("x" * 1000))
        return large, small

    assert asyncio.run(main()) == (False, True)
