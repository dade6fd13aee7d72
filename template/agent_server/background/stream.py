"""Follows a background response, whichever process runs it."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from agent_server.background import store
from agent_server.background.runs import BackgroundRuns
from agent_server.errors import ApiError
from agent_server.responses.builder import UNFINISHED
from agent_server.responses.events import Event, to_sse


class HandedOverError(ApiError):
    """The stream ends before its response: this process is stopping, or it was deleted."""

    def __init__(self) -> None:
        super().__init__(503, "handed_over", "The answer goes on elsewhere. Ask for it again.", 1)


async def stream_events(
    runs: BackgroundRuns, response_id: str, position: int
) -> AsyncIterator[str]:
    """Yield the events from `position` on as a server sends them, and `[DONE]` after the last.

    Without `[DONE]` there may be more: another process continues, or the response was deleted.
    """
    with suppress(HandedOverError):
        async for event in _read(runs, response_id, position):
            yield to_sse(event)
        yield "data: [DONE]\n\n"


async def stream_text(runs: BackgroundRuns, response_id: str, position: int) -> AsyncIterator[str]:
    """Yield the agent's words from an event on, as they come.

    Raises ApiError when the run fails or continues elsewhere, so that a client sees the answer cut
    off.
    """
    begun = False
    async for kind, event in _read(runs, response_id, position):
        if kind == "response.in_progress":
            if begun:  # another attempt, whose words do not continue the ones before
                raise HandedOverError
            begun = True
        if kind == "response.output_text.delta":
            yield json.loads(event)["delta"]
        if kind == "response.failed":
            error = json.loads(event)["response"]["error"]
            raise ApiError(502, error["code"], error["message"])


async def _read(runs: BackgroundRuns, response_id: str, position: int) -> AsyncIterator[Event]:
    """Yield the events from `position` to the last; raises HandedOverError before the last.

    A run of this process is read from memory, any other from the database.
    """
    with ExitStack() as stack:
        changed: asyncio.Event | None = None
        while not runs.stopping:
            attempt = runs.get(response_id)
            if attempt and attempt.saved.start <= position:
                async for event in attempt.saved.read(position):
                    yield event
                    position += 1
                if attempt.saved_whole:
                    return
                continue
            page = await _read_page(runs, response_id, position)
            for event in page.events:
                yield event
                position += 1
            if page.complete:
                return
            if not page.events:
                runs.request_recovery(at_once=page.free)
                changed = changed or stack.enter_context(runs.notifications.subscribe(response_id))
                await changed.wait()
                changed.clear()
    raise HandedOverError


@dataclass(frozen=True)
class _Page:
    events: Sequence[Event]
    complete: bool  # there are no events and will be none
    free: bool  # no process has the run


async def _read_page(runs: BackgroundRuns, response_id: str, position: int) -> _Page:
    rows = await store.rows(runs.pool, store.READ, id=response_id, position=position)
    if not rows:  # the response was deleted
        raise HandedOverError
    events = [(row["kind"], row["event"]) for row in rows if row["kind"]]
    finished = rows[0]["status"] not in UNFINISHED
    return _Page(events, finished and not events, rows[0]["free"])
