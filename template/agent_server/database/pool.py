"""The one connection pool of this process, to Lakebase or to any other Postgres."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import PoolTimeout

from agent_server.database.connections import (
    BoundedConnection,
    answers_within,
    is_fresh,
)
from agent_server.database.connections import Connection as Connection
from agent_server.database.connections import Pool as Pool
from agent_server.database.lakebase import check_database_settings, lakebase_target, schema_name
from agent_server.errors import ApiError
from agent_server.settings import lakebase_configured, limit

if TYPE_CHECKING:  # it takes long to import, and only Lakebase needs it
    from databricks.sdk import WorkspaceClient

log = logging.getLogger(__name__)

# Set for each connection, not at its start: poolers and proxies refuse options there.
LIMIT = """
    SELECT set_config('statement_timeout', %(statement)s || 's', false),
        set_config('lock_timeout', %(lock)s || 's', false),
        set_config('idle_in_transaction_session_timeout', %(idle)s || 's', false)"""
# The app's schema first, then those that may hold the extension `vector`: public, or another.
SEE_SCHEMA = """
    SELECT set_config('search_path', concat_ws(', ', quote_ident(%s), 'public', (
        SELECT quote_ident(nspname) FROM pg_extension e JOIN pg_namespace n
        ON n.oid = e.extnamespace WHERE extname = 'vector')), false)"""
# Checked first: CREATE SCHEMA IF NOT EXISTS needs the privilege CREATE even if the schema exists.
CREATE_SCHEMA = """
    SELECT format('CREATE SCHEMA %%I', name) AS create FROM (VALUES (%s)) AS wanted (name)
    WHERE name NOT IN (SELECT nspname FROM pg_namespace)"""
LOCK = "SELECT 1 WHERE pg_try_advisory_lock(hashtextextended('setup:' || %s, 0))"
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('setup:' || %s, 0))"


@asynccontextmanager
async def open_pool(build_client: Callable[[], "WorkspaceClient"]) -> AsyncIterator[Pool]:
    """Yield the open pool, whose connections search the app's schema first.

    `build_client` is called only for Lakebase. Raises SettingsError when no setting says where the
    database is, ApiError when Lakebase refuses, and psycopg.OperationalError when any other
    database can't be reached.
    """
    check_database_settings()

    # Without this, a connection lost to a restart or sleep of the database would fail a turn.
    async def check(connection: Connection) -> None:
        if is_fresh(connection):
            return
        try:
            with answers_within(connection, limit("ANSWER_SECONDS")):
                await pool.check_connection(connection)
        except psycopg.OperationalError:
            log.warning("the database has slept or was restarted: connecting again")
            # The other connections are dead too, and each would slow the turn down more.
            await pool.drain()
            raise

    # Off the event loop: the Lakebase pool looks up its host with blocking calls.
    pool = await asyncio.to_thread(_build_pool, build_client, configure=_configure, check=check)
    async with pool:
        try:
            await pool.wait(limit("CONNECT_SECONDS"))
        except PoolTimeout:
            await try_to_connect(pool)
            raise
        yield pool


def _build_pool(build_client: Callable[[], "WorkspaceClient"], **options: Any) -> Pool:
    # The pool waits longer after each failed try, then gives up; the next turn starts it afresh.
    patience = {"timeout": limit("CONNECT_SECONDS"), "reconnect_timeout": limit("CONNECT_SECONDS")}
    options.update(min_size=1, max_size=limit("POOL_CONNECTIONS"), **patience)
    if lakebase_configured():
        return _lakebase_pool(build_client(), options)
    return _plain_pool(options)


def _lakebase_pool(client: "WorkspaceClient", options: dict[str, Any]) -> Pool:
    from databricks_ai_bridge.lakebase import AsyncLakebasePool

    target = lakebase_target()
    # Databricks Apps gives the host of a `database` resource, not its name.
    if "." in (host := target.get("instance_name", "")):
        instances = client.database.list_database_instances()
        names = (item.name for item in instances if item.read_write_dns == host)
        target["instance_name"] = next(names, host)
    # No cached token: each new connection logs in with its own, which can't have expired.
    try:
        lakebase = AsyncLakebasePool(
            **target, workspace_client=client, token_cache_duration_seconds=0
        )
    except ValueError as error:
        why = "the workspace refuses access, or it does not exist"
        raise _unavailable("Unable to resolve", why) from error
    # Its pool is never opened: ours connects as that one would.
    source = lakebase.pool
    kwargs = {**source.kwargs, **_connection_options()}
    options.update(kwargs=kwargs, connection_class=_bounded(source.connection_class))
    return Pool(source.conninfo, open=False, **options)


def _bounded(base: type[AsyncConnection[Any]]) -> type[AsyncConnection[Any]]:
    return type(f"Bounded{base.__name__}", (BoundedConnection, base), {})


def _plain_pool(options: dict[str, Any]) -> Pool:
    kwargs = {"autocommit": True, "row_factory": dict_row, **_connection_options()}
    options.update(kwargs=kwargs, connection_class=BoundedConnection)
    return Pool(os.environ["DATABASE_URL"], open=False, **options)


def _connection_options() -> dict[str, int]:
    """Return what notices a host that has gone, which could otherwise take hours."""
    seconds = limit("CONNECT_SECONDS")
    return {
        "connect_timeout": seconds,
        "tcp_user_timeout": 1000 * seconds,  # milliseconds without an acknowledgement
        "keepalives_idle": seconds,
        "keepalives_interval": max(seconds // 3, 1),
        "keepalives_count": 3,
    }


async def try_to_connect(pool: Pool) -> None:
    """Raise the reason why the pool can't connect, which the pool itself only logs."""
    address, options = cast(str, pool.conninfo), cast(dict[str, Any], pool.kwargs)
    try:
        connection = await pool.connection_class.connect(address, **options)
        await connection.close()
    except (ConnectionError, psycopg.OperationalError) as error:
        if not lakebase_configured():
            raise
        minted = isinstance(error, psycopg.OperationalError)  # else the workspace refused
        refused = "its database sleeps, or does not let us in"
        why = refused if minted else "the workspace did not issue a password"
        raise _unavailable("Failed to connect to", why) from error


def _unavailable(what: str, why: str) -> ApiError:
    name = "/".join(lakebase_target().values())
    text = f"{what} Lakebase instance {name!r}: {why}. Run: lakebase-agent doctor"
    return ApiError(503, "lakebase_unavailable", text, 5)


async def _configure(connection: AsyncConnection[Any]) -> None:
    await connection.execute(SEE_SCHEMA, [schema_name()])
    await _limit(connection, limit("STATEMENT_SECONDS"), limit("LOCK_SECONDS"))


async def _limit(connection: AsyncConnection[Any], statement: int, lock: int) -> None:
    """Let Postgres end statements, and waits for locks, that take longer; in seconds."""
    idle = limit("IDLE_TRANSACTION_SECONDS")
    await connection.execute(LIMIT, {"statement": statement, "lock": lock, "idle": idle})


@asynccontextmanager
async def open_setup(pool: Pool) -> AsyncIterator[Connection]:
    """Yield a connection for creating tables in the app's schema, to one process at a time.

    Raises TimeoutError when another process is still creating them after SETUP_SECONDS.
    """
    async with pool.connection() as connection:
        async with asyncio.timeout(limit("SETUP_SECONDS")):
            # Polled: a blocking wait deadlocks with the CREATE INDEX CONCURRENTLY of LangGraph.
            while not await _first(connection, LOCK):
                await asyncio.sleep(0.2)
        try:
            with answers_within(connection, limit("SETUP_STATEMENT_SECONDS")):
                # A large table takes its time to change.
                await _limit(connection, limit("SETUP_STATEMENT_SECONDS"), limit("SETUP_SECONDS"))
                if missing := await _first(connection, CREATE_SCHEMA):
                    await connection.execute(missing["create"])
                yield connection
        finally:
            await _first(connection, UNLOCK)
            await _configure(connection)


async def _first(connection: Connection, query: str) -> DictRow | None:
    return await (await connection.execute(query, [schema_name()])).fetchone()
