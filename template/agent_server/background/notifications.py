"""Notifies processes of changes to background responses, over one connection each."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg

from agent_server.background.store import channel
from agent_server.database.pool import Pool

log = logging.getLogger(__name__)
RETRY_SECONDS = 1


class Notifications:
    """Wakes those waiting for a response; holds a connection only while anyone is waiting.

    `on_stopped` is called with the id of a response that another process cancelled or deleted.
    """

    def __init__(self, pool: Pool, on_stopped: Callable[[str], None]) -> None:
        self._pool, self._on_stopped = pool, on_stopped
        self._subscribers: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._count, self._listening = 0, False
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def subscribe(self, response_id: str = "") -> Iterator[asyncio.Event]:
        """Yield an event that is set when the response may have changed.

        It is also set whenever listening starts or restarts: a notification may have been missed.
        """
        changed = asyncio.Event()
        self._subscribers[response_id].add(changed)
        self._count += 1
        self._task = self._task or asyncio.create_task(self._listen())
        if self._listening:
            changed.set()
        try:
            yield changed
        finally:
            self._subscribers[response_id].discard(changed)
            if not self._subscribers[response_id]:
                del self._subscribers[response_id]
            self._count -= 1
            if not self._count:
                self._task.cancel()
                self._task, self._listening = None, False

    def wake(self, response_id: str | None = None) -> None:
        """Wake those waiting for this response, or everyone."""
        for key in list(self._subscribers) if response_id is None else [response_id]:
            for changed in self._subscribers.get(key, ()):
                changed.set()

    async def _listen(self) -> None:
        while True:
            try:
                async with self._pool.connection() as connection:
                    await connection.execute(f"LISTEN {channel()}")
                    self._listening = True
                    self.wake()
                    try:
                        async for notice in connection.notifies():
                            self._receive(notice.payload)
                    finally:
                        with suppress(psycopg.OperationalError):
                            await connection.execute("UNLISTEN *")
            except psycopg.OperationalError as error:
                self._listening = False
                log.warning("stopped listening, will reconnect: %s", type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)

    def _receive(self, payload: str) -> None:
        response_id, _, stopped = payload.partition(" ")
        if stopped:
            self._on_stopped(response_id)
        self.wake(response_id)
