"""Saves the events of this process's background runs, those of all runs in one statement.

An event is saved before anyone reads it. A reader who has seen an event can therefore find it, and
every earlier one, in any process and after any crash.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg

from agent_server.background import store
from agent_server.background.notifications import Notifications
from agent_server.background.response import DurableResponse
from agent_server.database.pool import Connection, Pool
from agent_server.responses.builder import UNFINISHED
from agent_server.responses.events import Event, EventLog
from agent_server.responses.requests import Turn
from agent_server.responses.task import ResponseTask
from agent_server.settings import limit

log = logging.getLogger(__name__)

# Called in the transaction that finishes a run, with its turn and its final body.
OnFinish = Callable[[Connection, Turn, dict[str, Any]], Awaitable[None]]

# Text is saved in batches, so that 100 tokens cost fewer than 25 statements; other events at once.
TEXT = "response.output_text.delta"
PIECE = 6
PIECE_SECONDS = 0.5
PAUSE_SECONDS = 0.03
RETRY_SECONDS = 1


@dataclass(eq=False)
class Attempt:
    """One attempt at a background run, claimed by this process."""

    turn: Turn
    response: DurableResponse
    claim: UUID
    task: ResponseTask
    saved: EventLog  # for readers
    unsaved: list[Event] = field(default_factory=list)
    finished: bool = False  # no event follows the unsaved ones
    saved_whole: bool = False  # including its last event

    def entry(self) -> store.Entry:
        """Return what remains to be saved."""
        body, start = self.response.body, self.saved.end_position
        status, final = (body["status"], json.dumps(body)) if self.finished else (None, None)
        return store.Entry(body["id"], self.claim, status, final, start, tuple(self.unsaved))

    def mark_saved(self, entry: store.Entry) -> None:
        """Make the saved events visible to readers."""
        del self.unsaved[: len(entry.events)]
        for event in entry.events:
            self.saved.append(event)
        self.saved_whole = entry.body is not None


class Journal:
    """Saves the events of attempts; holds a connection only while there are attempts."""

    def __init__(self, pool: Pool, on_finish: OnFinish | None) -> None:
        self.attempts: dict[str, Attempt] = {}
        self.notifications = Notifications(pool, self.drop)
        self._pool, self._on_finish = pool, on_finish
        self._weight, self._last_heartbeat = 0, 0.0
        self._changed = asyncio.Event()
        self._collecting: set[asyncio.Task[None]] = set()
        self._saving: asyncio.Task[None] | None = None

    @property
    def has_room(self) -> bool:
        """Whether this process may take another run of any user: half of the room is for all."""
        return len(self.attempts) <= limit("BACKGROUND_RUNS_PER_PROCESS") // 2

    def has_room_for(self, user_id: str) -> bool:
        """Whether this process may take another run of the user; their first may fill it."""
        full = len(self.attempts) >= limit("BACKGROUND_RUNS_PER_PROCESS")
        owners = {attempt.turn.user.id for attempt in self.attempts.values()}
        return not full and (self.has_room or user_id not in owners)

    @property
    def claims(self) -> list[UUID]:
        """The claims of this process's runs."""
        return [attempt.claim for attempt in self.attempts.values()]

    def add(self, attempt: Attempt) -> None:
        """Save the events of this attempt from now on."""
        self.drop(attempt.turn.response_id)  # an earlier attempt, lost without this process knowing
        self.attempts[attempt.turn.response_id] = attempt
        self._collecting.add(task := asyncio.create_task(self._collect(attempt)))
        task.add_done_callback(self._collecting.discard)
        if self._saving is None or self._saving.done():
            self._saving = asyncio.create_task(self._save_all())

    def drop(self, response_id: str) -> None:
        """End an attempt that this process has lost, or can't continue."""
        if attempt := self.attempts.pop(response_id, None):
            attempt.task.cancel()
            attempt.saved.close()
            self._weigh(PIECE)

    async def finished(self) -> None:
        """Wait until there is nothing left to save."""
        if self._saving:
            await self._saving

    async def _collect(self, attempt: Attempt) -> None:
        async for event in attempt.response.events.read(attempt.saved.end_position):
            attempt.unsaved.append(event)
            self._weigh(1 if event[0] == TEXT else PIECE)
        attempt.finished = attempt.response.body["status"] not in UNFINISHED
        self._weigh(PIECE)
        if not attempt.finished:  # cut off: the process that claims it next continues it
            self.drop(attempt.turn.response_id)

    def _weigh(self, weight: int) -> None:
        self._weight += weight
        self._changed.set()

    async def _save_all(self) -> None:
        while self.attempts:
            try:
                with self.notifications.subscribe():
                    async with self._pool.connection() as connection:
                        while self.attempts:
                            await self._until_due()
                            await self._save(connection)
                            await asyncio.sleep(PAUSE_SECONDS)
            except psycopg.Error as error:  # the next try may work; if not, others claim the runs
                log.warning("could not save the events of background runs", exc_info=error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _until_due(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(limit("HEARTBEAT_SECONDS")):
                await self._changed.wait()
            async with asyncio.timeout(PIECE_SECONDS):
                while self._weight < PIECE:
                    self._changed.clear()
                    await self._changed.wait()
        self._changed.clear()

    async def _save(self, connection: Connection) -> None:
        self._weight = 0
        if not (due := self._due()):
            return
        # A snapshot: runs may emit more while it is being saved.
        entries = [(attempt, attempt.entry()) for attempt in due]
        held = await self._write(connection, entries)
        for attempt, entry in entries:
            if entry.id in held:
                attempt.mark_saved(entry)
            if attempt.saved_whole or entry.id not in held:
                self.drop(entry.id)

    async def _write(
        self, connection: Connection, entries: Sequence[tuple[Attempt, store.Entry]]
    ) -> set[str]:
        """Save the entries; return the ids of the responses whose claims were still held."""
        last = [(attempt, entry) for attempt, entry in entries if entry.body]
        async with connection.transaction() if last and self._on_finish else nullcontext():
            held = await store.write(connection, [entry for _, entry in entries])
            for attempt, entry in last:
                if entry.id in held:
                    await finish(connection, self._on_finish, attempt.turn, attempt.response.body)
        return held

    def _due(self) -> list[Attempt]:
        now = time.monotonic()
        heartbeat = now - self._last_heartbeat > limit("HEARTBEAT_SECONDS")
        self._last_heartbeat = now if heartbeat else self._last_heartbeat
        return [a for a in self.attempts.values() if heartbeat or a.unsaved or a.finished]


async def finish(
    connection: Connection, on_finish: OnFinish | None, turn: Turn, body: dict[str, Any]
) -> None:
    """Call `on_finish`. If it fails, its changes are rolled back, and the run still finishes."""
    if on_finish:
        try:
            async with connection.transaction():
                await on_finish(connection, turn, body)
        except Exception:  # whatever the project's own code raises
            log.exception("on_finish failed, and its changes were rolled back")
