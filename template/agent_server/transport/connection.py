"""A client's connection: closed when its request does not come, or its answer is not read."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from agent_server.settings import limit

HEAD_BYTES = 65536
MOST_WAITING = 16  # requests on one connection, for the answer to the one before them


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, with the bounds that it lacks.

    A request's head must arrive within HEAD_SECONDS, and have at most HEAD_BYTES. What is sent must
    be read within UNREAD_SECONDS. At most MOST_WAITING requests may wait for the answer to another.
    Of more than CONNECTIONS_WAITING without a request, the oldest is closed.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._opened = self.loop.time()
        self._in_head, self._head_bytes = True, 0

    @property
    def waits(self) -> bool:
        """Whether the head of the next request has not arrived, and nothing else is to be done."""
        return self._in_head and (self.cycle is None or self.cycle.response_complete)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        # Otherwise asyncio reports what is unread only from 64 KiB on.
        transport.set_write_buffer_limits(high=0)
        self._watch_head()
        waiting = [c for c in self.connections if isinstance(c, Connection) and c.waits]
        if len(waiting) > limit("CONNECTIONS_WAITING"):
            min(waiting, key=lambda connection: connection._opened).transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        self._head_bytes = self._head_bytes + len(data) if self._in_head else 0
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES:
            self.transport.abort()
        self._watch_head()

    def on_headers_complete(self) -> None:
        """Begin the request, or let it wait for those before it; raises for one too many."""
        self._in_head = False
        super().on_headers_complete()
        if len(self.pipeline) > MOST_WAITING:
            self.transport.abort()
            raise ConnectionAbortedError  # so that what else has arrived is not read

    def on_message_complete(self) -> None:
        """Wait for the next request."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._abort_after("unread", limit("UNREAD_SECONDS"))

    def resume_writing(self) -> None:
        """Send again: the client has read everything."""
        super().resume_writing()
        self._cancel("unread")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all waiting."""
        super().connection_lost(exc)
        self._cancel("head")
        self._cancel("unread")

    def _watch_head(self) -> None:
        if self.waits:
            self._abort_after("head", limit("HEAD_SECONDS"))
        else:
            self._cancel("head")

    def _abort_after(self, timer: str, seconds: float) -> None:
        if timer not in self._timers:
            # Not close(), which waits for a client that reads nothing.
            self._timers[timer] = self.loop.call_later(seconds, self.transport.abort)

    def _cancel(self, timer: str) -> None:
        if handle := self._timers.pop(timer, None):
            handle.cancel()
