"""Tells Postgres who is asking, for the benchmark of row-level security: a `sitecustomize.py`."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agent_server.database.connections import Connection, Pool
from agent_server.identity import asking

SET = "SELECT set_config('agent.user', %s, {local}), set_config('agent.key', %s, {local})"
CHECKOUT, TRANSACTION = SET.format(local="false"), SET.format(local="true")

take, open_connection = Pool.getconn, Pool.connection


def _whose() -> tuple[str, str]:
    found = asking.get()
    return (found.user.id, found.user.key) if found else ("", "")


async def _take(pool: Pool, timeout: float | None = None) -> Connection:  # noqa: ASYNC109
    connection = await take(pool, timeout)
    if getattr(connection, "whose", ("", "")) != (whose := _whose()):
        try:
            await connection.execute(CHECKOUT, whose)
            connection.whose = whose  # type: ignore[attr-defined]
        except BaseException:
            await pool.putconn(connection)
            raise
    return connection


@asynccontextmanager
async def _in_transaction(pool: Pool, timeout: float | None = None) -> AsyncIterator[Any]:  # noqa: ASYNC109
    async with open_connection(pool, timeout) as connection:
        if any(whose := _whose()):
            async with connection.transaction():
                await connection.execute(TRANSACTION, whose)
                yield connection
        else:
            yield connection


if os.environ["SECOND_WALL"] == "checkout":
    Pool.getconn = _take  # type: ignore[method-assign]
else:
    Pool.connection = _in_transaction  # type: ignore[method-assign]
