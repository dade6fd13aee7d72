"""Follows a background response, wherever it is being made."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack

from agent_server import background_store as store
from agent_server.background_runs import Runs
from agent_server.events import to_sse
from agent_server.responses import UNFINISHED


async def follow(runs: Runs, response_id: str, position: int) -> AsyncIterator[str]:
    """Yield the events from `position` on as a server sends them, and `[DONE]` after the last.

    A run of this process is read from memory, any other from the database. Without `[DONE]` there
    is more: this process was told to stop, and another one goes on; or the response was deleted.
    """
    heard: asyncio.Event | None = None
    over = False
    with ExitStack() as stack:
        while not over and not runs.stopping:
            attempt = runs.get(response_id)
            if attempt and attempt.told.start <= position:
                async for event in attempt.told.read(position):
                    yield to_sse(event)
                    position += 1
                over = attempt.ended
                continue
            page = await store.rows(runs.pool, store.READ, [position, response_id])
            if not page:
                return
            for row in page if page[0]["kind"] else ():
                yield to_sse((row["kind"], row["event"]))
                position += 1
            over = page[0]["status"] not in UNFINISHED and not page[0]["kind"]
            if not over and not page[0]["kind"]:
                runs.look(now=page[0]["free"])
                if heard is None:
                    heard = stack.enter_context(runs.newsroom.open(response_id))
                await heard.wait()
                heard.clear()
    if over:
        yield "data: [DONE]\n\n"
