"""Follows a background response, wherever it is being made."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress

from agent_server import background_store as store
from agent_server.background_runs import Runs
from agent_server.errors import ApiError
from agent_server.events import Event, to_sse
from agent_server.responses import UNFINISHED


class HandedOverError(ApiError):
    """There is more: this process was told to stop, or the response was deleted."""

    def __init__(self) -> None:
        super().__init__(503, "handed_over", "The answer goes on elsewhere. Ask for it again.", 1)


async def follow(runs: Runs, response_id: str, position: int) -> AsyncIterator[str]:
    """Yield the events from `position` on as a server sends them, and `[DONE]` after the last.

    Without `[DONE]` there is more: another process goes on; or the response was deleted.
    """
    with suppress(HandedOverError):
        async for event in _read(runs, response_id, position):
            yield to_sse(event)
        yield "data: [DONE]\n\n"


async def follow_text(runs: Runs, response_id: str, position: int) -> AsyncIterator[str]:
    """Yield what the agent says from an event on, as it says it.

    Raises ApiError when the run fails or goes on elsewhere: the answer is cut off, for a client to
    see.
    """
    begun = False
    async for kind, event in _read(runs, response_id, position):
        if kind == "response.in_progress":
            if begun:  # another attempt: what it says does not go on from what was said
                raise HandedOverError
            begun = True
        if kind == "response.output_text.delta":
            yield json.loads(event)["delta"]
        if kind == "response.failed":
            error = json.loads(event)["response"]["error"]
            raise ApiError(502, error["code"], error["message"])


async def _read(runs: Runs, response_id: str, position: int) -> AsyncIterator[Event]:
    """Yield the events from `position` to the last; raises HandedOverError before it is told.

    A run of this process is read from memory, any other from the database.
    """
    heard: asyncio.Event | None = None
    over = False
    with ExitStack() as stack:
        while not over and not runs.stopping:
            attempt = runs.get(response_id)
            if attempt and attempt.told.start <= position:
                async for event in attempt.told.read(position):
                    yield event
                    position += 1
                over = attempt.ended
                continue
            page = await store.rows(runs.pool, store.READ, [position, response_id])
            if not page:
                break
            for row in page if page[0]["kind"] else ():
                yield row["kind"], row["event"]
                position += 1
            over = page[0]["status"] not in UNFINISHED and not page[0]["kind"]
            if not over and not page[0]["kind"]:
                runs.look(now=page[0]["free"])
                if heard is None:
                    heard = stack.enter_context(runs.newsroom.open(response_id))
                await heard.wait()
                heard.clear()
    if not over:
        raise HandedOverError
