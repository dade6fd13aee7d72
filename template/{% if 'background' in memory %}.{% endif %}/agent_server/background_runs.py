"""The background runs of this process: begin, cancel, hand over, take over from a dead one."""

import asyncio
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import DictRow

from agent_server import background_store as store
from agent_server.background_attempt import Attempt, OnEnd
from agent_server.background_cancel import cancel
from agent_server.background_response import DurableResponse
from agent_server.background_watch import Watch
from agent_server.background_writer import Writer
from agent_server.errors import ApiError, to_api_error
from agent_server.events import EventLog
from agent_server.lakebase import Pool
from agent_server.requests import Turn
from agent_server.runs import Run

if TYPE_CHECKING:
    from agent_server.turns import Turns

log = logging.getLogger(__name__)

MAX_RUNS, MAX_RUNS_OF_A_USER, MAX_ATTEMPTS, MAX_SECONDS = 256, 20, 3, 3600
# The others wait as `queued`: more at once would be too slow to keep their threads.
RUNS_AT_ONCE = 32
PATIENCE_SECONDS, CLEAN_SECONDS = 5, 3600
# A run that meets these is as good as dead: its thread, or the database, is out of its reach.
OUT_OF_REACH = ("database_unavailable", "thread_busy")


class Runs:
    """Runs turns whether or not somebody reads them, and finishes those of dead processes."""

    def __init__(self, turns: "Turns", pool: Pool, on_end: OnEnd | None = None) -> None:
        self.pool, self.stopping = pool, False
        self._turns, self._on_end = turns, on_end
        self._writer = Writer(pool, on_end)
        self.newsroom = self._writer.newsroom
        self._watch = Watch(self)
        self.look = self._watch.look
        self._handing_over: asyncio.Task[None] | None = None
        self._slots = asyncio.Semaphore(RUNS_AT_ONCE)
        self._cleaned = 0.0

    @property
    def free(self) -> bool:
        """Whether this process has room for another run."""
        return not self.stopping and len(self._writer.attempts) < MAX_RUNS

    @property
    def claims(self) -> list[UUID]:
        """What the runs of this process are claimed by."""
        return [attempt.claim for attempt in self._writer.attempts.values()]

    def get(self, response_id: str) -> Attempt | None:
        """Return the attempt at this response, if it is one of this process."""
        return self._writer.attempts.get(response_id)

    def owned(self, response_id: str, user_id: str) -> Attempt | None:
        """Return the attempt at this user's response, if it is one of this process."""
        attempt = self.get(response_id)
        return attempt if attempt and attempt.turn.user.id == user_id else None

    async def create(self, turn: Turn, key: str | None = None, fingerprint: str = "") -> str:
        """Run `turn`, whether or not somebody reads it; return the id of its response.

        The same user's same `key` runs once. Raises ApiError: 409 while another run of the thread
        is not over, 422 when the key came with another `fingerprint`, 429 above the limits.
        """
        await self.clean()
        response, claim = DurableResponse(turn.thread_id, turn.response_id), uuid4()
        response.body["metadata"] = turn.metadata
        turn = replace(turn, stream=True, response_id=response.body["id"])
        first = response.queue()
        row = store.creation(turn, response.body, first, key, fingerprint)
        row |= {"claim": claim, "most": MAX_RUNS_OF_A_USER}
        if self.free and await store.rows(self.pool, store.CREATE, row):
            told = EventLog()
            told.append(first)
            self._start(turn, response, claim, told)
            return turn.response_id
        return await self._created_before(turn, key, fingerprint)

    async def cancel(self, response_id: str, user_id: str) -> None:
        """End the run of this user's response, wherever it is."""
        if attempt := self.owned(response_id, user_id):
            attempt.run.cancel()  # at once, whatever the database takes
        await cancel(self.pool, response_id, user_id, self._on_end)
        if self.owned(response_id, user_id):
            self._writer.drop(response_id)

    async def delete(self, response_id: str, user_id: str) -> None:
        """Forget this user's response, ending its run."""
        values = [response_id, user_id, store.channel()]
        for row in await store.rows(self.pool, store.DELETE, values):
            self._writer.drop(row["id"])

    async def take_over(self, row: DictRow) -> None:
        """Go on with a run that was claimed from a dead process."""
        log.warning("taking over the run of %s, attempt %d", row["id"], row["attempt"])
        async with self.pool.connection() as connection:
            told = await store.events(connection, row["id"])
        response, turn = DurableResponse.replay(told), store.TURN.validate_json(row["request"])
        if row["attempt"] <= MAX_ATTEMPTS:
            response.recover()
        self._start(turn, response, row["claimed_by"], EventLog(start=len(told)), row["attempt"])

    def stop(self) -> None:
        """Let go of every run, for any process to take; every stream of this one ends."""
        self.stopping = True
        self._handing_over = self._handing_over or asyncio.create_task(self._hand_over())

    async def stopped(self) -> None:
        """Return when every run is let go of."""
        if self._handing_over:
            await self._handing_over

    async def _created_before(self, turn: Turn, key: str | None, fingerprint: str) -> str:
        for same in await store.rows(self.pool, store.SAME_KEY, [turn.user.id, key]):
            if same["fingerprint"] == fingerprint:
                return str(same["id"])
            raise ApiError(422, "key_reused", "This Idempotency-Key came with another request.")
        if await store.rows(self.pool, store.BUSY, [turn.thread_key]):
            self.look()
            raise ApiError(409, "thread_busy", "A background run of this thread is not over.", 1)
        raise ApiError(429, "too_many_runs", "Too many background runs. Try again later.", 5)

    def _start(
        self, turn: Turn, response: DurableResponse, claim: UUID, told: EventLog, number: int = 1
    ) -> None:
        run = Run(self._work(turn, response, number), response)
        self._writer.add(Attempt(turn, response, claim, run, told))
        self.newsroom.wake(turn.response_id)

    async def _work(self, turn: Turn, response: DurableResponse, number: int) -> None:
        if number > MAX_ATTEMPTS:
            text = f"The run was cut off {MAX_ATTEMPTS} times. The log has the reasons."
            raise ApiError(500, "too_many_attempts", text)
        try:
            async with self._slots, asyncio.timeout(MAX_SECONDS) as limit:
                await self._run(turn, response)
        except Exception as error:
            if limit.expired():
                text = f"The run took longer than {MAX_SECONDS} seconds."
                raise ApiError(504, "run_too_long", text) from error
            if to_api_error(error).code not in OUT_OF_REACH:
                raise
            log.warning("%s is out of reach, and will be tried again: %r", turn.response_id, error)
            self._writer.drop(turn.response_id)
            self.look()

    async def _run(self, turn: Turn, response: DurableResponse) -> None:
        """Run the turn, however long another one keeps its thread."""
        while True:
            try:
                return await self._turns.run(turn, response)
            except ApiError as error:
                if error.code != "thread_busy" or response.begun:
                    raise

    async def _hand_over(self) -> None:
        attempts, claims = list(self._writer.attempts.values()), self.claims
        for attempt in attempts:
            self._writer.drop(attempt.turn.response_id)
        self._watch.stop()
        self.newsroom.wake()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                # Not before their threads are free.
                ends = [attempt.run.ended() for attempt in attempts]
                await asyncio.gather(*ends, self._writer.finished(), return_exceptions=True)
                if claims:
                    await store.rows(self.pool, store.RELEASE, [claims, store.channel()])
        except (TimeoutError, psycopg.OperationalError) as error:
            log.warning("runs are not handed over, but will be missed", exc_info=error)

    async def clean(self) -> None:
        """Delete what is kept long enough, now and then."""
        if time.monotonic() - self._cleaned > CLEAN_SECONDS or not self._cleaned:
            self._cleaned = time.monotonic()
            async with self.pool.connection() as connection:
                await connection.execute(store.CLEAN)
