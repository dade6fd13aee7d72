"""Leases: one turn per thread at a time, and none that is left behind or lost in silence."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from agent_server.database.pool import Pool, open_pool
from agent_server.errors import ApiError
from agent_server.server.workspace import workspace_client
from agent_server.threads.lease import open_lease

LEASES = "SELECT 1 FROM turn_leases WHERE thread_key = %s"
TAKE = "UPDATE turn_leases SET owner = gen_random_uuid() WHERE thread_key = %s"
LOCK = "LOCK TABLE turn_leases IN ACCESS EXCLUSIVE MODE"

pytestmark = pytest.mark.usefixtures("server")
Check = Callable[[Pool, str], Awaitable[None]]


def run(check: Check) -> None:
    async def main() -> None:
        async with open_pool(workspace_client) as pool:
            await check(pool, f"lease/{uuid4().hex}")

    asyncio.run(main())


async def hold(pool: Pool, thread: str) -> None:
    async with open_lease(pool, thread):
        await asyncio.sleep(60)


async def count(pool: Pool, thread: str) -> int:
    async with pool.connection() as connection:
        return (await connection.execute(LEASES, [thread])).rowcount


@asynccontextmanager
async def taken_at_once(pool: Pool, thread: str) -> AsyncIterator[None]:
    began = time.monotonic()
    async with open_lease(pool, thread):
        assert time.monotonic() - began < 2
        yield


async def cancel(task: asyncio.Task[None], times: int = 1) -> None:
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()


def test_a_turn_that_is_cancelled_frees_its_thread() -> None:
    async def check(pool: Pool, thread: str) -> None:
        turn = asyncio.create_task(hold(pool, thread))
        while not await count(pool, thread):
            await asyncio.sleep(0.01)
        await cancel(turn, times=2)
        async with taken_at_once(pool, thread):
            assert await count(pool, thread) == 1
        assert await count(pool, thread) == 0

    run(check)


def test_no_moment_at_which_a_turn_is_cancelled_leaves_a_lease() -> None:
    async def check(pool: Pool, thread: str) -> None:
        chance = random.Random(1)
        for _ in range(100):
            turn = asyncio.create_task(hold(pool, thread))
            await asyncio.sleep(chance.random() / 100)
            await cancel(turn, times=chance.choice([1, 2]))
        async with taken_at_once(pool, thread):
            pass
        assert await count(pool, thread) == 0

    run(check)


def test_a_turn_that_is_cancelled_while_another_has_the_thread_leaves_it_alone() -> None:
    async def check(pool: Pool, thread: str) -> None:
        async with open_lease(pool, thread):
            waiting = asyncio.create_task(hold(pool, thread))
            await asyncio.sleep(0.3)
            await cancel(waiting)
            assert await count(pool, thread) == 1

    run(check)


def test_a_turn_that_is_cancelled_while_its_lease_is_being_taken_leaves_none() -> None:
    async def check(pool: Pool, thread: str) -> None:
        async with pool.connection() as connection, connection.transaction():
            await connection.execute(LOCK)
            turn = asyncio.create_task(hold(pool, thread))
            await asyncio.sleep(0.3)
            began = time.monotonic()
            await cancel(turn)
            assert time.monotonic() - began < 2
        async with taken_at_once(pool, thread):
            pass

    run(check)


def test_a_turn_whose_thread_is_taken_is_cancelled_once_and_told_so() -> None:
    cancelled = 0

    async def work() -> None:
        nonlocal cancelled
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled += 1
            await asyncio.sleep(0.5)  # what it stores then is not cut off
            raise

    async def check(pool: Pool, thread: str) -> None:
        with pytest.raises(ApiError, match="taken") as error:
            async with open_lease(pool, thread):
                async with pool.connection() as connection:
                    await connection.execute(TAKE, [thread])
                await work()
        assert error.value.code == "thread_busy" and cancelled == 1
        task = asyncio.current_task()
        assert task and not task.cancelling()

    run(check)


def test_a_lease_outlives_a_lock_on_its_table() -> None:
    async def check(pool: Pool, thread: str) -> None:
        async with open_lease(pool, thread):
            async with pool.connection() as connection, connection.transaction():
                await connection.execute(LOCK)
                await asyncio.sleep(5)
            assert await count(pool, thread) == 1

    run(check)
