"""Saves the events of this process's background runs, those of all runs in one statement.

An event is saved before anyone reads it. A reader who has seen an event can therefore find it, and
every earlier one, in any process and after any crash.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from uuid import UUID

import psycopg

from agent_server.background import store
from agent_server.background.attempt import RETRY_SECONDS, Attempt
from agent_server.background.notifications import Notifications
from agent_server.background.transactions import OnFinish, finish
from agent_server.database.pool import Connection, Pool
from agent_server.errors import ApiError, to_api_error
from agent_server.responses.builder import UNFINISHED
from agent_server.settings import limit

log = logging.getLogger(__name__)

# Text is saved in batches, so that 100 tokens cost fewer than 25 statements; other events at once.
TEXT = "response.output_text.delta"
PIECE = 6
PIECE_SECONDS = 0.5
PAUSE_SECONDS = 0.03
# With these errors no database can be told anything: others claim the runs, or it comes back.
AWAY = ("database_unavailable", "database_busy")


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

    def check(self) -> None:
        """Raise a 503 ApiError when the database has not let events be saved for SAVE_SECONDS."""
        for attempt in self.attempts.values():
            failure = attempt.failure
            if failure and failure.status_code == 503 and attempt.fails_for(limit("SAVE_SECONDS")):
                text = f"database: background responses: {failure.detail}"
                raise ApiError(503, failure.code, text, retry_after=2)

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
            attempt.seen.close()
            self._weigh(PIECE)

    async def finished(self) -> None:
        """Wait until there is nothing left to save."""
        if self._saving:
            await self._saving

    async def _collect(self, attempt: Attempt) -> None:
        async for event in attempt.response.events.read(attempt.seen.end_position):
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
        if due := self._due():
            await self._try_to_save(connection, due)

    async def _try_to_save(self, connection: Connection, due: Sequence[Attempt]) -> None:
        try:
            await self._save_together(connection, due)
        except psycopg.Error as error:
            failure = to_api_error(error)
            if failure.code in AWAY:
                raise
            log.warning("could not save events: %s", failure.code, exc_info=error)
            if failure.status_code == 500 and due[1:]:  # one of them may be to blame
                for attempt in due:
                    await self._try_to_save(connection, [attempt])
            else:
                self._mark_unsaved(due, failure)

    def _mark_unsaved(self, due: Sequence[Attempt], failure: ApiError) -> None:
        for attempt in due:
            attempt.mark_unsaved(failure)
            # Whoever claims it later makes another attempt.
            if attempt.fails_for(limit("UNSAVED_SECONDS")):
                self.drop(attempt.turn.response_id)

    async def _save_together(self, connection: Connection, due: Sequence[Attempt]) -> None:
        # A snapshot: runs may emit more while it is being saved.
        entries = [(attempt, attempt.entry()) for attempt in due]
        held = await self._write(connection, entries)
        for attempt, entry in entries:
            if entry.id in held:
                attempt.mark_saved(entry)
            if entry.body or entry.id not in held:
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
        return [
            attempt
            for attempt in self.attempts.values()
            if (heartbeat or attempt.unsaved or attempt.finished) and attempt.retry_at <= now
        ]
