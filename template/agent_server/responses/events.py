"""The events of a run, in order, for any number of readers."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

Event = tuple[str, str]  # its type, and the whole event as JSON
# For /openapi.json: a route that may answer with a stream of events.
STREAMS: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}


class EventLog:
    """The events of one run: written once, read by each reader at its own pace.

    `start` is the position of its first event: above 0 in a log that continues another.
    """

    def __init__(self, start: int = 0) -> None:
        self.start = start
        self._events: list[Event] = []
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def end_position(self) -> int:
        """The position of the next event."""
        return self.start + len(self._events)

    def append(self, event: Event) -> None:
        """Add the next event, unless the log is closed: a run that was ended may go on a little."""
        if not self._closed:
            self._events.append(event)
            self._wake()

    def close(self) -> None:
        """Close the log: readers stop when they reach its end."""
        self._closed = True
        self._wake()

    def since(self, position: int) -> list[Event]:
        """Return the events so far, from `position`."""
        return self._events[position - self.start :]

    async def reach(self, position: int) -> bool:
        """Wait for an event at `position`; return False if the log closes first."""
        while self.end_position <= position and not self._closed:
            await self._changed.wait()
        return self.end_position > position

    async def read(self, position: int = 0) -> AsyncIterator[Event]:
        """Yield the events from `position` as they arrive, until the log is closed."""
        while await self.reach(position):
            yield self._events[position - self.start]
            position += 1

    def _wake(self) -> None:
        # A new event for the next change: readers may still be waking up from this one.
        self._changed.set()
        self._changed = asyncio.Event()


def to_text(event: Event) -> str:
    """Return what a reader of text alone is told of an event."""
    kind, body = event
    if kind == "response.output_text.delta":
        return str(json.loads(body)["delta"])
    if kind == "response.output_item.done" and '"mcp_approval_request"' in body:
        item = json.loads(body)["item"]
        if item["type"] == "mcp_approval_request":
            return f"\n\nThis waits for your approval: {item['name']} {item['arguments']}"
    return ""


def to_sse(event: Event) -> str:
    """Return the event as a server-sent event."""
    return "event: {}\ndata: {}\n\n".format(*event)
