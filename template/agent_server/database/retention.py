"""Deletes what has been kept for long enough, while the app is at work anyway.

No timer starts it, so that a database without traffic can fall asleep.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ParamSpec

import psycopg

from agent_server.database.lakebase import schema_name
from agent_server.database.pool import Connection, Pool
from agent_server.settings import limit

log = logging.getLogger(__name__)

P = ParamSpec("P")
Delete = Callable[[Connection, dict[str, Any]], Awaitable[None]]

PAGE = 50  # keys per transaction
PAUSE_SECONDS = 0.05  # between transactions
MAX_DAYS = 100_000  # an earlier time would be none that Postgres knows
# One process at a time. Whatever else holds a row goes first: a deadlock is found after a second.
BEGIN = """
    SELECT set_config('lock_timeout', '500ms', true), set_config('statement_timeout', '60s', true)
    WHERE pg_try_advisory_xact_lock(hashtextextended('retention:' || %s, 0))"""


@dataclass(frozen=True)
class Rule:
    """What is deleted once it is older than `age`; None is for ever.

    `find` is SQL for the next %(page)s keys after %(after)s, in order, and whether each is
    `expired`, older than %(age)s. `delete` is given %(keys)s and %(age)s, and checks again.
    """

    name: str
    age: timedelta | None
    find: str
    delete: Delete


class Retention:
    """Applies the rules in the background, at most once in CLEANUP_SECONDS."""

    def __init__(self, pool: Pool, rules: Sequence[Rule]) -> None:
        self._pool, self._rules = pool, rules
        self._next = 0.0
        self._task: asyncio.Task[None] | None = None

    def request(self) -> None:
        """Delete what has expired, unless that was done a short while ago."""
        busy = self._task and not self._task.done()
        if not busy and time.monotonic() >= self._next:
            self._next = time.monotonic() + limit("CLEANUP_SECONDS")
            self._task = asyncio.create_task(self._delete_expired())

    def after(
        self, work: Callable[P, Coroutine[Any, Any, None]]
    ) -> Callable[P, Coroutine[Any, Any, None]]:
        """Return `work`, followed by a request."""

        async def followed(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                await work(*args, **kwargs)
            finally:
                self.request()

        return followed

    async def stop(self) -> None:
        """End what is under way, for the next process to go on with, and begin nothing more."""
        self._next = float("inf")
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _delete_expired(self) -> None:
        for rule in self._rules:
            try:
                await self._apply(rule)
            except psycopg.Error as error:  # the other rules, and the next time, may work
                log.warning("could not delete expired %s", rule.name, exc_info=error)

    async def _apply(self, rule: Rule) -> None:
        after: str | None = "" if rule.age else None
        while after is not None:
            after = await self._delete_page(rule, after)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _delete_page(self, rule: Rule, after: str) -> str | None:
        """Delete what has expired of the next keys; return the last of these.

        Returns None when there are no more, or another process is at it.
        """
        values = {"after": after, "page": PAGE, "age": rule.age}
        async with self._pool.connection() as connection, connection.transaction():
            if not await (await connection.execute(BEGIN, [schema_name()])).fetchone():
                return None
            rows = await (await connection.execute(rule.find, values)).fetchall()
            if keys := [row["key"] for row in rows if row["expired"]]:
                await rule.delete(connection, {"keys": keys, "age": rule.age})
        return str(rows[-1]["key"]) if len(rows) == PAGE else None


@asynccontextmanager
async def open_retention(pool: Pool, rules: Sequence[Rule]) -> AsyncIterator[Retention]:
    """Yield what deletes by these rules, and let it begin."""
    retention = Retention(pool, rules)
    retention.request()
    try:
        yield retention
    finally:
        await retention.stop()


def kept(setting: str) -> timedelta | None:
    """Return for how long a setting in days says to keep something; None is for ever."""
    return timedelta(days=min(limit(setting), MAX_DAYS)) or None


def statement(query: str) -> Delete:
    """Return what deletes with one statement."""

    async def delete(connection: Connection, values: dict[str, Any]) -> None:
        await connection.execute(query, values)

    return delete
