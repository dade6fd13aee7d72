"""What processes tell each other about background responses, over one connection each."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg

from agent_server.background_store import channel
from agent_server.lakebase import Pool

log = logging.getLogger(__name__)
RETRY_SECONDS = 1


class Newsroom:
    """Wakes who waits for a response; it holds a connection only while somebody listens.

    `on_end` is called with the id of a response that another process cancelled or deleted.
    """

    def __init__(self, pool: Pool, on_end: Callable[[str], None]) -> None:
        self._pool, self._on_end = pool, on_end
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._listeners, self._listening = 0, False
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def open(self, response_id: str = "") -> Iterator[asyncio.Event]:
        """Yield an event that is set when there may be news of the response.

        It is set too when listening begins, or begins again: news may have been missed.
        """
        heard = asyncio.Event()
        self._waiting[response_id].add(heard)
        self._listeners += 1
        self._task = self._task or asyncio.create_task(self._listen())
        if self._listening:
            heard.set()
        try:
            yield heard
        finally:
            self._waiting[response_id].discard(heard)
            if not self._waiting[response_id]:
                del self._waiting[response_id]
            self._listeners -= 1
            if not self._listeners:
                self._task.cancel()
                self._task, self._listening = None, False

    def wake(self, response_id: str | None = None) -> None:
        """Wake who waits for this response, or everybody."""
        for key in list(self._waiting) if response_id is None else [response_id]:
            for heard in self._waiting.get(key, ()):
                heard.set()

    async def _listen(self) -> None:
        while True:
            try:
                async with self._pool.connection() as connection:
                    await connection.execute(f"LISTEN {channel()}")
                    self._listening = True
                    self.wake()
                    try:
                        async for notice in connection.notifies():
                            self._hear(notice.payload)
                    finally:
                        with suppress(psycopg.OperationalError):
                            await connection.execute("UNLISTEN *")
            except psycopg.OperationalError as error:
                self._listening = False
                log.warning("listening again: %s", type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)

    def _hear(self, payload: str) -> None:
        response_id, _, ended = payload.partition(" ")
        if ended:
            self._on_end(response_id)
        self.wake(response_id)
