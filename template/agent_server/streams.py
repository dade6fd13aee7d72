"""Runs a turn in a task of its own, beside whoever reads it."""

import asyncio
from collections.abc import AsyncGenerator

from agent_server.responses import Event


async def detached(events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
    """Yield `events`, produced by one task from the first to the last.

    A server may read the first event in one task and the rest in another; leases, traces and
    time limits must not see that. A reader who leaves cancels the turn.
    """
    queue: asyncio.Queue[Event | None] = asyncio.Queue()
    producer = asyncio.create_task(_produce(events, queue))
    try:
        while (event := await queue.get()) is not None:
            yield event
        await producer
    finally:
        producer.cancel()
        await asyncio.gather(producer, return_exceptions=True)


async def _produce(events: AsyncGenerator[Event], queue: asyncio.Queue[Event | None]) -> None:
    try:
        async for event in events:
            queue.put_nowait(event)
    finally:
        queue.put_nowait(None)
