"""Looks for runs that nobody goes on with, once somebody has a reason to."""

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg

from agent_server import background_store as store

if TYPE_CHECKING:
    from agent_server.background_runs import Runs

log = logging.getLogger(__name__)
RETRY_SECONDS = 3


class Watch:
    """Claims what dead processes left; it ends when no other process has a run."""

    def __init__(self, runs: "Runs") -> None:
        self._runs = runs
        self._now = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def look(self, now: bool = False) -> None:
        """Look for such runs, and again whenever there may be one; `now` if there is one."""
        if now:
            self._now.set()
        if not self._runs.stopping and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._watch())

    def stop(self) -> None:
        """Look no more."""
        if self._task:
            self._task.cancel()

    async def _watch(self) -> None:
        seconds: float | None = 0
        while seconds is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._now.wait()
            self._now.clear()
            try:
                seconds = await self._claim()
            except psycopg.OperationalError as error:
                log.warning("could not look for runs of dead processes", exc_info=error)
                seconds = RETRY_SECONDS

    async def _claim(self) -> float | None:
        """Claim what there is; return the seconds until there may be more, None for never."""
        pool = self._runs.pool
        while self._runs.free and (claimed := await store.rows(pool, store.CLAIM)):
            await self._runs.take_over(claimed[0])
        [row] = await store.rows(pool, store.NEXT_FREE, [self._runs.claims])
        return None if row["seconds"] is None else max(row["seconds"], 0) + 0.1
