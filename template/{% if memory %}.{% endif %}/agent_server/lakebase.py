"""Where Postgres is: Lakebase when it is configured, and the one pool of this process."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from agent_server.settings import SettingsError, in_databricks_app, lakebase_configured, setting

Connection = AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]

# Unchecked, every connection that a restart or a sleep of the database killed would fail a turn.
CHECK: dict[str, Any] = {"check": AsyncConnectionPool.check_connection}
SIZE: dict[str, Any] = {"min_size": 1, "max_size": 20, "timeout": 10}
SCHEMA_SECONDS = 60

# The app's schema first, then where the extension `vector` lives: public, or a place of its own.
SEE_SCHEMA = """
    SELECT set_config('search_path', concat_ws(', ', quote_ident(%s), 'public', (
        SELECT quote_ident(nspname) FROM pg_extension e JOIN pg_namespace n
        ON n.oid = e.extnamespace WHERE extname = 'vector')), false)"""
# Asked first: CREATE SCHEMA IF NOT EXISTS needs the right to create even when it exists.
CREATE_SCHEMA = """
    SELECT format('CREATE SCHEMA %%I', name) AS create FROM (VALUES (%s)) AS wanted (name)
    WHERE name NOT IN (SELECT nspname FROM pg_namespace)"""
LOCK = "SELECT 1 WHERE pg_try_advisory_lock(hashtextextended('setup:' || %s, 0))"
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('setup:' || %s, 0))"


def schema_name() -> str:
    """Return the Postgres schema that holds every table of this app."""
    return setting("LAKEBASE_AGENT_MEMORY_SCHEMA")


def lakebase_target() -> dict[str, str]:
    """Return the arguments that name this Lakebase to `AsyncLakebasePool`."""
    names = ("AUTOSCALING_ENDPOINT", "AUTOSCALING_PROJECT", "AUTOSCALING_BRANCH", "INSTANCE_NAME")
    values = [os.environ.get(f"LAKEBASE_{name}", "") for name in names]
    endpoint, project, branch, instance = values
    if endpoint:
        return {"autoscaling_endpoint": endpoint}
    if bool(project) != bool(branch):
        pair = "LAKEBASE_AUTOSCALING_PROJECT and LAKEBASE_AUTOSCALING_BRANCH"
        raise SettingsError(f"{pair} go together: {project!r} and {branch!r}.")
    return {"project": project, "branch": branch} if project else {"instance_name": instance}


@asynccontextmanager
async def open_pool() -> AsyncIterator[Pool]:
    """Yield the open pool; its connections see the app's schema first.

    Raises psycopg_pool.PoolTimeout when the database can't be reached, and SettingsError when
    nothing says where it is: a deployed app never falls back to another one.
    """
    # Off the event loop: the Lakebase pool looks its host up with blocking calls.
    pool = await asyncio.to_thread(_lakebase_pool if lakebase_configured() else _plain_pool)
    async with pool:
        await pool.wait(SIZE["timeout"])
        yield pool


def _lakebase_pool() -> Pool:
    from databricks_ai_bridge.lakebase import AsyncLakebasePool

    # No cached token: each new connection logs in with one of its own, never an expired one.
    token = {"token_cache_duration_seconds": 0}
    place: dict[str, Any] = {**lakebase_target(), **token, **SIZE, **CHECK}
    pool: Pool = AsyncLakebasePool(configure=_see_schema, **place).pool
    return pool


def _plain_pool() -> Pool:
    check_database_settings()
    options = {"autocommit": True, "row_factory": dict_row}
    how: dict[str, Any] = {"kwargs": options, "open": False, **SIZE, **CHECK}
    return AsyncConnectionPool(os.environ["DATABASE_URL"], configure=_see_schema, **how)


def check_database_settings() -> None:
    """Raise SettingsError when nothing says where Postgres is."""
    if in_databricks_app() and not lakebase_configured():
        raise SettingsError(
            "This app has no Lakebase. In databricks.yml, give the app a `postgres` or `database` "
            "resource, and set LAKEBASE_AUTOSCALING_ENDPOINT or LAKEBASE_INSTANCE_NAME from it."
        )
    if not (lakebase_configured() or os.environ.get("DATABASE_URL")):
        raise SettingsError("No database: start with `uv run start-app`, or set DATABASE_URL.")


async def _see_schema(connection: AsyncConnection[Any]) -> None:
    await connection.execute(SEE_SCHEMA, [schema_name()])


async def ping(pool: Pool) -> None:
    """Raise psycopg.OperationalError unless the database answers within two seconds."""
    async with pool.connection(timeout=2) as connection:
        await connection.execute("SELECT 1")


async def create_tables(pool: Pool, create: Callable[[Pool], Awaitable[None]]) -> None:
    """Run `create` in the app's schema, by one process at a time; both may exist already.

    Raises TimeoutError when another process is at it for a minute.
    """
    async with pool.connection() as connection:
        async with asyncio.timeout(SCHEMA_SECONDS):
            # Polled: a blocking wait deadlocks with the CREATE INDEX CONCURRENTLY of `create`.
            while not await _first(connection, LOCK):
                await asyncio.sleep(0.2)
        try:
            if missing := await _first(connection, CREATE_SCHEMA):
                await connection.execute(missing["create"])
            await create(pool)
        finally:
            await _first(connection, UNLOCK)


async def _first(connection: Connection, query: str) -> DictRow | None:
    return await (await connection.execute(query, [schema_name()])).fetchone()
