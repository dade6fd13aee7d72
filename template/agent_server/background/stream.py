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
from agent_server.responses.events import Event, to_sse, to_text


class HandedOverError(ApiError):
    """A stream ended early: this process is stopping, or the response was deleted."""

    def __init__(self) -> None:
        super().__init__(503, "handed_over", "The answer continues elsewhere. Request it again.", 1)


async def stream_events(
    runs: BackgroundRuns, response_id: str, position: int
) -> AsyncIterator[str]:
    """Yield the events from `position` as server-sent events, and `[DONE]` after the last.

    A stream without `[DONE]` ended early: another process continues, or the response was deleted.
    """
    with suppress(HandedOverError):
        async for event in _read(runs, response_id, position):
            yield to_sse(event)
        yield "data: [DONE]\n\n"


async def stream_text(runs: BackgroundRuns, response_id: str, position: int) -> AsyncIterator[str]:
    """Yield the deltas of the answer's text, from the event at `position`, as they arrive.

    Raises ApiError when the run fails or another process takes it over, so that the client sees
    that the answer was cut off.
    """
    begun = False
    async for kind, event in _read(runs, response_id, position):
        if text := to_text((kind, event)):
            yield text
        if kind == "response.in_progress":
            if begun:  # another attempt, whose text does not continue the earlier one's
                raise HandedOverError
            begun = True
        if kind == "response.failed":
            error = json.loads(event)["response"]["error"]
            raise ApiError(502, error["code"], error["message"])


async def _read(runs: BackgroundRuns, response_id: str, position: int) -> AsyncIterator[Event]:
    """Yield the events from `position` to the last; raises HandedOverError if it can't reach it.

    This process's own runs are read from memory, all others from the database.
    """
    with ExitStack() as stack:
        changed: asyncio.Event | None = None
        while not runs.stopping:
            attempt = runs.get(response_id)
            if attempt and attempt.seen.start <= position:
                async for event in attempt.seen.read(position):
                    yield event
                    position += 1
                if attempt.seen_whole:
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
    complete: bool  # no events are left, and none will follow
    free: bool  # any process may claim the run


async def _read_page(runs: BackgroundRuns, response_id: str, position: int) -> _Page:
    rows = await store.rows(runs.pool, store.READ, id=response_id, position=position)
    if not rows:  # the response was deleted
        raise HandedOverError
    events = [(row["kind"], row["event"]) for row in rows if row["kind"]]
    finished = rows[0]["status"] not in UNFINISHED
    return _Page(events, finished and not events, rows[0]["free"])
