"""Runs background turns in this process, and takes over those of dead processes.

A run whose process died while it ran is a suspect: it may be what brought the process down. It is
taken over, starts alone among suspects (see `Slots`), and fails once BACKGROUND_ATTEMPTS of its
processes have died. A run that was only queued in a dead process is no suspect, nor is one that a
stopping process hands over.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import DictRow

from agent_server.background import store
from agent_server.background.attempt import Attempt
from agent_server.background.journal import AWAY, Journal
from agent_server.background.response import DurableResponse
from agent_server.background.slots import Slots
from agent_server.background.transactions import OnCreate, store_run
from agent_server.database.pool import Pool
from agent_server.errors import ApiError, to_api_error
from agent_server.responses.events import Event, EventLog
from agent_server.responses.requests import Turn
from agent_server.responses.task import ResponseTask, RunTurn
from agent_server.settings import limit

log = logging.getLogger(__name__)

TakeOver = Callable[[DictRow], Awaitable[None]]

RETRY_SECONDS = 3
MARGIN_SECONDS = 0.1
# With these errors a run can't reach its thread or the database: it is tried again.
OUT_OF_REACH = (*AWAY, "thread_busy")


class Recovery:
    """Claims the runs of dead processes, whenever `wanted` is set.

    It stops querying the database once no other process has a run.
    """

    def __init__(
        self, pool: Pool, journal: Journal, take_over: TakeOver, wanted: asyncio.Event
    ) -> None:
        self._pool, self._journal, self._take_over = pool, journal, take_over
        self._wanted, self._at_once = wanted, asyncio.Event()
        self._task = asyncio.create_task(self._recover())

    def request(self, at_once: bool = False) -> None:
        """Look for runs to take over; `at_once` when one is known to be free."""
        if at_once:
            self._at_once.set()
        self._wanted.set()

    def stop(self) -> None:
        """Claim nothing more."""
        self._task.cancel()

    async def _recover(self) -> None:
        while await self._wanted.wait():
            self._wanted.clear()
            try:
                await self._claim_until_none_is_left()
            except Exception:  # one broken run must not end this task
                log.exception("could not take over a run")

    async def _claim_until_none_is_left(self) -> None:
        seconds: float | None = 0
        while seconds is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._at_once.wait()
            self._at_once.clear()
            try:
                seconds = await self._claim()
            except psycopg.Error as error:
                log.warning("could not look for runs of dead processes", exc_info=error)
                seconds = RETRY_SECONDS

    async def _claim(self) -> float | None:
        """Claim every free run; return the seconds until another may be free, None for never."""
        while self._journal.has_room and (claimed := await self._rows(store.CLAIM)):
            await self._take_over(claimed[0])
        [row] = await self._rows(store.NEXT_FREE)
        if row["seconds"] is None:
            return None
        soon = MARGIN_SECONDS if self._journal.has_room else RETRY_SECONDS
        return float(max(row["seconds"], 0)) + soon

    async def _rows(self, query: str) -> list[DictRow]:
        return await store.rows(self._pool, query, claims=self._journal.claims)


class Worker:
    """Runs turns whether or not anyone reads them, a limited number at once."""

    def __init__(
        self, pool: Pool, run_turn: RunTurn, journal: Journal, recovery_wanted: asyncio.Event
    ) -> None:
        self._pool, self._run_turn, self._journal = pool, run_turn, journal
        # The others stay `queued`: with more at once, they would be too slow to renew their leases.
        self._slots = Slots()
        self.recovery = Recovery(pool, journal, self.take_over, recovery_wanted)

    async def create(
        self,
        turn: Turn,
        response: DurableResponse,
        first: Event,
        row: dict[str, Any],
        on_create: OnCreate | None,
    ) -> bool:
        """Store a run whose first event is `first`, and start it here if its row has a claim.

        Returns False if it may not be stored.
        """
        stored = await store_run(self._pool, on_create, row)
        if stored and row["claim"]:
            saved = EventLog()
            saved.append(first)
            self.start(turn, response, row["claim"], saved)
        else:
            self.recovery.request()
        return stored

    def start(
        self, turn: Turn, response: DurableResponse, claim: UUID, saved: EventLog, number: int = 1
    ) -> None:
        """Start attempt `number` at a run that this process has claimed."""
        task = ResponseTask(self._work(turn, response, claim, number), response)
        self._journal.add(Attempt(turn, response, claim, task, saved))
        self._journal.notifications.wake(turn.response_id)

    async def take_over(self, row: DictRow) -> None:
        """Resume a run that was claimed from a dead process."""
        log.warning("taking over the run of %s, attempt %d", row["id"], row["attempt"])
        async with self._pool.connection() as connection:
            saved = await store.events(connection, row["id"])
        # Off the event loop, like every replay: there may be very many events.
        response = await asyncio.to_thread(DurableResponse.replay, saved)
        turn = await asyncio.to_thread(store.TURN.validate_json, row["request"])
        if row["attempt"] <= limit("BACKGROUND_ATTEMPTS"):
            response.recover()
        log_of_saved = EventLog(start=len(saved))
        self.start(turn, response, row["claimed_by"], log_of_saved, row["attempt"])

    async def _work(self, turn: Turn, response: DurableResponse, claim: UUID, number: int) -> None:
        if number > (most := limit("BACKGROUND_ATTEMPTS")):
            text = f"The run was cut off {most} times: its process died each time. See the log."
            raise ApiError(500, "too_many_attempts", text)
        while True:
            async with self._slots.hold(turn.user.id, number > 1, response.wait):
                if await self._try(turn, response, claim):
                    return
            await asyncio.sleep(RETRY_SECONDS)
            response.recover()

    async def _try(self, turn: Turn, response: DurableResponse, claim: UUID) -> bool:
        """Run the turn; return False if its thread or the database could not be reached."""
        seconds = limit("BACKGROUND_RUN_SECONDS")
        try:
            async with asyncio.timeout(seconds) as deadline:
                await store.rows(self._pool, store.BEGIN, id=turn.response_id, claim=claim)
                await self._run(turn, response)
        except Exception as error:
            if deadline.expired():
                text = f"The run took longer than {seconds} seconds."
                raise ApiError(504, "run_too_long", text) from error
            if to_api_error(error).code not in OUT_OF_REACH:
                raise
            log.warning("%s can't run now, and will be tried again: %r", turn.response_id, error)
            return False
        return True

    async def _run(self, turn: Turn, response: DurableResponse) -> None:
        """Run the turn, waiting for as long as another turn holds its thread."""
        while True:
            try:
                return await self._run_turn(turn, response)
            except ApiError as error:
                if error.code != "thread_busy" or response.begun:
                    raise
