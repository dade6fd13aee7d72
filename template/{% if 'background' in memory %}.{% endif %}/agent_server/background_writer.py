"""Writes down what the background runs of this process tell, all of them in one statement.

It is in the database before anybody reads it: a reader that has seen an event finds it, and all
before it, in every process and after every crash.
"""

import asyncio
import logging
import time
from contextlib import nullcontext, suppress

import psycopg

from agent_server import background_store as store
from agent_server.background_attempt import Attempt, OnEnd, end
from agent_server.background_news import Newsroom
from agent_server.lakebase import Connection, Pool
from agent_server.responses import UNFINISHED

log = logging.getLogger(__name__)

# Text is written in pieces, so that 100 tokens cost less than 25 statements; the rest at once.
TEXT, PIECE, PIECE_SECONDS = "response.output_text.delta", 6, 0.5
PAUSE_SECONDS, RETRY_SECONDS, HEARTBEAT_SECONDS = 0.03, 1, 3


class Writer:
    """Writes down what attempts tell; it holds a connection only while there are some."""

    def __init__(self, pool: Pool, on_end: OnEnd | None) -> None:
        self.attempts: dict[str, Attempt] = {}
        self.newsroom = Newsroom(pool, self.drop)
        self._pool, self._on_end = pool, on_end
        self._weight, self._beaten = 0, 0.0
        self._something = asyncio.Event()
        self._collecting: set[asyncio.Task[None]] = set()
        self._writing: asyncio.Task[None] | None = None

    def add(self, attempt: Attempt) -> None:
        """Write down what this attempt tells from now on."""
        self.drop(attempt.turn.response_id)  # one that this process lost without knowing it yet
        self.attempts[attempt.turn.response_id] = attempt
        self._collecting.add(task := asyncio.create_task(self._collect(attempt)))
        task.add_done_callback(self._collecting.discard)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_on())

    def drop(self, response_id: str) -> None:
        """End an attempt that is not this process's any more, or can't go on."""
        if attempt := self.attempts.pop(response_id, None):
            attempt.run.cancel()
            attempt.told.close()
            self._weigh(PIECE)

    async def finished(self) -> None:
        """Return when nothing more is written down."""
        if self._writing:
            await self._writing

    async def _collect(self, attempt: Attempt) -> None:
        async for event in attempt.response.events.read(attempt.told.end):
            attempt.waiting.append(event)
            self._weigh(1 if event[0] == TEXT else PIECE)
        attempt.over = attempt.response.body["status"] not in UNFINISHED
        self._weigh(PIECE)
        if not attempt.over:  # it ended without an end: whoever claims it next goes on
            self.drop(attempt.turn.response_id)

    def _weigh(self, weight: int) -> None:
        self._weight += weight
        self._something.set()

    async def _write_on(self) -> None:
        while self.attempts:
            try:
                with self.newsroom.open():
                    async with self._pool.connection() as connection:
                        while self.attempts:
                            await self._until_due()
                            await self._write(connection)
                            await asyncio.sleep(PAUSE_SECONDS)
            except psycopg.Error as error:  # the next try may work; else others claim the runs
                log.warning("could not write down what runs tell", exc_info=error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _until_due(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self._something.wait()
            async with asyncio.timeout(PIECE_SECONDS):
                while self._weight < PIECE:
                    self._something.clear()
                    await self._something.wait()
        self._something.clear()

    async def _write(self, connection: Connection) -> None:
        self._weight = 0
        if not (chosen := self._chosen()):
            return
        # As they are now: more is told, or all of it, while this is written.
        told = [(attempt, attempt.entry()) for attempt in chosen]
        ends = [(attempt, entry) for attempt, entry in told if entry.body]
        async with connection.transaction() if ends and self._on_end else nullcontext():
            mine = await store.write(connection, [entry for _, entry in told])
            for attempt, entry in ends:
                if entry.id in mine:
                    await end(connection, self._on_end, attempt.turn, attempt.response.body)
        for attempt, entry in told:
            if entry.id in mine:
                attempt.tell(entry)
            if attempt.ended or entry.id not in mine:
                self.drop(entry.id)

    def _chosen(self) -> list[Attempt]:
        beat = time.monotonic() - self._beaten > HEARTBEAT_SECONDS
        self._beaten = time.monotonic() if beat else self._beaten
        return [a for a in self.attempts.values() if beat or a.waiting or a.over]
