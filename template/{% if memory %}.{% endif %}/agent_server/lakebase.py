"""Where Postgres is: Lakebase when it is configured, and the one pool of this process."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from agent_server.settings import SettingsError, in_databricks_app, lakebase_configured, setting

Pool = AsyncConnectionPool[AsyncConnection[DictRow]]
log = logging.getLogger(__name__)

POOL_OPTIONS: dict[str, Any] = {
    "min_size": 1,
    "max_size": 20,
    "timeout": 10,
    # Without it, every connection that a restart or a sleep of the database killed fails a turn.
    "check": AsyncConnectionPool.check_connection,
}
SCHEMA_DEADLINE_SECONDS = 60


def schema_name() -> str:
    """Return the Postgres schema that holds every table of this app."""
    return setting("LAKEBASE_AGENT_MEMORY_SCHEMA")


def check_database_settings() -> None:
    """Raise SettingsError when nothing says where Postgres is, or two settings disagree."""
    if lakebase_configured():
        lakebase_target()
    elif in_databricks_app():
        raise SettingsError(
            "This app has no Lakebase. In databricks.yml, give the app a `postgres` or `database` "
            "resource, and set LAKEBASE_AUTOSCALING_ENDPOINT or LAKEBASE_INSTANCE_NAME from it."
        )
    elif not os.environ.get("DATABASE_URL"):
        raise SettingsError("No database: start with `uv run start-app`, or set DATABASE_URL.")


def needs_embedded_database() -> bool:
    """True when nothing says where Postgres is, so that an embedded one serves; never in Apps."""
    return not (lakebase_configured() or in_databricks_app() or os.environ.get("DATABASE_URL"))


def database_title() -> str:
    """Return which Postgres this process uses, for a person to read."""
    if lakebase_configured():
        return "Lakebase " + "/".join(lakebase_target().values())
    where = "embedded Postgres in .local/" if needs_embedded_database() else "DATABASE_URL"
    return f"{where}, schema {schema_name()}"


def lakebase_target() -> dict[str, str]:
    """Return the arguments that name this Lakebase to `AsyncLakebasePool`."""
    endpoint = os.environ.get("LAKEBASE_AUTOSCALING_ENDPOINT", "")
    project = os.environ.get("LAKEBASE_AUTOSCALING_PROJECT", "")
    branch = os.environ.get("LAKEBASE_AUTOSCALING_BRANCH", "")
    instance = os.environ.get("LAKEBASE_INSTANCE_NAME", "")
    if endpoint:
        return {"autoscaling_endpoint": endpoint}
    if bool(project) != bool(branch):
        raise SettingsError(
            "LAKEBASE_AUTOSCALING_PROJECT and LAKEBASE_AUTOSCALING_BRANCH go together."
        )
    return {"project": project, "branch": branch} if project else {"instance_name": instance}


@asynccontextmanager
async def open_pool() -> AsyncIterator[Pool]:
    """Yield the open pool; its connections see the app's schema first.

    Raises psycopg_pool.PoolTimeout when the database can't be reached.
    """
    # Off the event loop: the Lakebase pool looks its host up with blocking calls.
    pool = await asyncio.to_thread(_lakebase_pool if lakebase_configured() else _plain_pool)
    async with pool:
        await pool.wait(POOL_OPTIONS["timeout"])
        yield pool


def _lakebase_pool() -> Pool:
    from databricks_ai_bridge.lakebase import AsyncLakebasePool

    # No cached token: each new connection logs in with one of its own, never an expired one.
    lakebase = AsyncLakebasePool(
        **lakebase_target(), token_cache_duration_seconds=0, configure=_see_schema, **POOL_OPTIONS
    )
    pool: Pool = lakebase.pool
    return pool


def _plain_pool() -> Pool:
    arguments = {"autocommit": True, "row_factory": dict_row}
    url = os.environ["DATABASE_URL"]
    return AsyncConnectionPool(
        url, kwargs=arguments, configure=_see_schema, open=False, **POOL_OPTIONS
    )


async def _see_schema(connection: AsyncConnection[Any]) -> None:
    """Put the app's schema first, then where the extension `vector` lives (public, or its own)."""
    query = """
        SELECT set_config('search_path', concat_ws(', ', quote_ident(%s), 'public',
            (SELECT quote_ident(nspname) FROM pg_extension e
             JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'vector')), false)
    """
    await connection.execute(query, [schema_name()])


async def ping(pool: Pool) -> None:
    """Raise psycopg.OperationalError unless the database answers within two seconds."""
    async with pool.connection(timeout=2) as connection:
        await connection.execute("SELECT 1")


async def create_tables(pool: Pool, create: Callable[[Pool], Awaitable[None]]) -> None:
    """Run `create` in the app's schema, by one process at a time; both may exist already.

    Raises TimeoutError when another process holds the lock for a minute.
    """
    key = f"{schema_name()}:setup"
    async with pool.connection() as connection:
        await _lock(connection, key)
        try:
            await _create_schema(connection)
            await create(pool)
        finally:
            await connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])


async def _lock(connection: AsyncConnection[DictRow], key: str) -> None:
    # Polled: a blocking wait deadlocks with the CREATE INDEX CONCURRENTLY of the setups.
    query = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0)) AS locked"
    deadline = time.monotonic() + SCHEMA_DEADLINE_SECONDS
    while True:
        row = await (await connection.execute(query, [key])).fetchone()
        if row and row["locked"]:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"Another process has been preparing schema {schema_name()!r}.")
        await asyncio.sleep(0.2)


async def _create_schema(connection: AsyncConnection[DictRow]) -> None:
    name = schema_name()
    # Asked first: CREATE SCHEMA IF NOT EXISTS needs the right to create even when it exists.
    query = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
    if await (await connection.execute(query, [name])).fetchone():
        return
    log.info("creating schema %s", name)
    await connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
