"""The background runs of this process: creates, cancels, deletes and hands them over."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import psycopg
from psycopg.rows import DictRow

from agent_server.background import store
from agent_server.background.attempt import Attempt
from agent_server.background.journal import Journal
from agent_server.background.response import DurableResponse
from agent_server.background.transactions import (
    OnCreate,
    OnFinish,
    creation,
    earlier_run,
    finish,
)
from agent_server.background.worker import Worker
from agent_server.database.pool import Connection, Pool
from agent_server.responses.builder import UNFINISHED
from agent_server.responses.requests import Turn
from agent_server.responses.task import RunTurn
from agent_server.settings import limit
from agent_server.transport.stopping import on_signal

log = logging.getLogger(__name__)


class BackgroundRuns:
    """Runs turns whether or not anyone reads them, and finishes those of dead processes."""

    def __init__(
        self,
        pool: Pool,
        run_turn: RunTurn,
        recovery_wanted: asyncio.Event,
        on_finish: OnFinish | None,
    ) -> None:
        self.pool, self.stopping = pool, False
        self._on_finish = on_finish
        self._journal = Journal(pool, on_finish)
        self._worker = Worker(pool, run_turn, self._journal, recovery_wanted)
        self.check, self.notifications = self._journal.check, self._journal.notifications
        self.request_recovery = self._worker.recovery.request
        self._handing_over: asyncio.Task[None] | None = None

    def get(self, response_id: str) -> Attempt | None:
        """Return this process's attempt at the response, if it has one."""
        return self._journal.attempts.get(response_id)

    def owned(self, response_id: str, user_id: str) -> Attempt | None:
        """Return this process's attempt at the response, if it has one and the user owns it."""
        attempt = self.get(response_id)
        return attempt if attempt and attempt.turn.user.id == user_id else None

    async def create(
        self,
        turn: Turn,
        key: str | None = None,
        fingerprint: str = "",
        on_create: OnCreate | None = None,
    ) -> str:
        """Run `turn`, whether or not anyone reads it; return the id of its response.

        A user's requests with the same `key` run once. `on_create(connection)` is awaited in the
        transaction that creates the run, which it prevents by raising. Raises ApiError: 409 while
        another run of the thread is unfinished, 422 when the key was used with another
        `fingerprint`, 429 when the user has too many, 503 while the database can't store what runs
        emit.
        """
        self.check()
        response = DurableResponse(turn.thread_id, turn.response_id)
        response.body["metadata"] = turn.metadata
        turn = replace(turn, stream=True, response_id=response.body["id"])
        first = response.queue()
        # Without a claim, it is left to whichever process has room first.
        keeps = self._journal.has_room_for(turn.user.id) and not self.stopping
        claim = uuid4() if keeps else None
        row = creation(turn, response.body, first, key, fingerprint) | {"claim": claim}
        # Apart: a run that is stored is also started, whatever becomes of the request.
        starting = self.pool.apart(self._worker.create(turn, response, first, row, on_create))
        if await asyncio.shield(starting):
            return turn.response_id
        return await earlier_run(self.pool, row)

    async def cancel(self, response_id: str, user_id: str) -> None:
        """Cancel this user's response, wherever it runs; a finished one stays as it is.

        From then on, the process that runs it can save nothing more. It is notified to stop.
        """
        if attempt := self.owned(response_id, user_id):
            attempt.task.cancel()  # at once, however long the database takes
        async with self.pool.connection() as connection, connection.transaction():
            for row in await store.fetch(connection, store.LOCK, id=response_id, user_id=user_id):
                if row["status"] in UNFINISHED:
                    await self._cancel(connection, response_id, row)
        if self.owned(response_id, user_id):
            self._journal.drop(response_id)

    async def delete(self, response_id: str, user_id: str) -> None:
        """Delete this user's response, and end its run."""
        for row in await store.rows(self.pool, store.DELETE, id=response_id, user_id=user_id):
            self._journal.drop(row["id"])

    def stop(self) -> None:
        """Release every run for other processes to claim, and end this process's streams."""
        self.stopping = True
        self._handing_over = self._handing_over or asyncio.create_task(self._hand_over())

    async def stopped(self) -> None:
        """Wait until every run has been released."""
        if self._handing_over:
            await self._handing_over

    async def _cancel(self, connection: Connection, response_id: str, row: DictRow) -> None:
        saved = await store.events(connection, response_id)
        response = await asyncio.to_thread(DurableResponse.replay, saved)
        start = response.events.start
        response.cancel()
        body, added = response.body, response.events.since(start)
        claim, final = row["claimed_by"], json.dumps(body)
        entry = store.Entry(response_id, claim, "cancelled", final, start, added)
        await store.write(connection, [entry])
        turn = store.TURN.validate_json(row["request"])
        await finish(connection, self._on_finish, turn, body)
        await store.fetch(connection, store.NOTIFY_STOPPED, id=response_id)

    async def _hand_over(self) -> None:
        attempts, claims = list(self._journal.attempts.values()), self._journal.claims
        for attempt in attempts:
            self._journal.drop(attempt.turn.response_id)
        self._worker.recovery.stop()
        self.notifications.wake()
        try:
            async with asyncio.timeout(limit("HAND_OVER_SECONDS")):
                # Released only once their threads are free.
                ends = [attempt.task.wait() for attempt in attempts]
                await asyncio.gather(*ends, self._journal.finished(), return_exceptions=True)
                if claims:
                    await store.rows(self.pool, store.RELEASE, claims=claims)
        except (TimeoutError, psycopg.Error) as error:
            log.warning("runs were not handed over; others claim them later", exc_info=error)


@asynccontextmanager
async def open_background_runs(
    pool: Pool, run_turn: RunTurn, recovery_wanted: asyncio.Event, on_finish: OnFinish | None = None
) -> AsyncIterator[BackgroundRuns]:
    """Yield the background runs of this process, including those it recovers from dead ones.

    Setting `recovery_wanted` starts another search for these. `on_finish(connection, turn, body)`
    is awaited in the transaction that finishes a run, in whichever process that is.
    """
    runs = BackgroundRuns(pool, run_turn, recovery_wanted, on_finish)
    runs.request_recovery()
    try:
        with on_signal(runs.stop):
            yield runs
    finally:
        runs.stop()
        await runs.stopped()
