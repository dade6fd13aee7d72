"""Where Postgres is: Lakebase when it is configured, and the one pool of this process."""

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from agent_server import settings
from agent_server.errors import ApiError
from agent_server.settings import SettingsError

log = logging.getLogger(__name__)
Connection = AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]

SCHEMA = "LAKEBASE_AGENT_MEMORY_SCHEMA"
CONNECT_SECONDS, SETUP_SECONDS = 10, 60
# A pool waits longer after each failed try: a new row of tries begins with the next turn.
PATIENCE = {"timeout": CONNECT_SECONDS, "reconnect_timeout": CONNECT_SECONDS}
SIZE = {"min_size": 1, "max_size": 20, **PATIENCE}
# A host that never answers would hold each try for two minutes, and every turn behind it.
IMPATIENT = {"connect_timeout": CONNECT_SECONDS}

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
    """Return the Postgres schema that holds every table of this app.

    A developer on Lakebase has one of their own: what they create there, the app can't alter.
    """
    name = settings.setting(SCHEMA)
    if os.environ.get(SCHEMA) or settings.in_databricks_app() or not settings.lakebase_configured():
        return name
    user = os.environ.get("USER") or os.environ.get("USERNAME") or "local"
    return f"{name}_dev_{re.sub('[^a-z0-9]', '_', user.lower())}"[:63]


def lakebase_target() -> dict[str, str]:
    """Return the arguments that name this Lakebase to `AsyncLakebasePool`.

    Raises SettingsError when two variables name different ones: a choice could hide all memories.
    """
    names = [f"LAKEBASE_{name}" for name in settings.LAKEBASE]
    given = {name: os.environ.get(name, "") for name in names}
    endpoint, project, branch, instance = given.values()
    first, *pair, last = names
    for name, value in zip(pair, endpoint.split("/")[1::2], strict=False):
        if given[name] not in ("", value):
            raise _contradiction(given, first, name)
    if instance and (others := [name for name in (first, *pair) if given[name]]):
        raise _contradiction(given, others[0], last)
    if endpoint:
        return {"autoscaling_endpoint": endpoint}
    if bool(project) != bool(branch):
        raise SettingsError(f"{' and '.join(pair)} go together: {project!r} and {branch!r}.")
    return {"project": project, "branch": branch} if project else {"instance_name": instance}


def _contradiction(given: dict[str, str], *names: str) -> SettingsError:
    both = " and ".join(f"{name}={given[name]!r}" for name in names)
    return SettingsError(f"{both} name different Lakebases. Unset one, in .env or databricks.yml.")


def check_database_settings() -> None:
    """Raise SettingsError when nothing says where Postgres is: an app never guesses."""
    if settings.lakebase_configured():
        lakebase_target()
    elif settings.in_databricks_app():
        raise SettingsError(
            "This app has no Lakebase. In databricks.yml, give the app a `postgres` or `database` "
            "resource, and set LAKEBASE_AUTOSCALING_ENDPOINT or LAKEBASE_INSTANCE_NAME from it."
        )
    elif not os.environ.get("DATABASE_URL"):
        raise SettingsError("No database: start with `uv run start-app`, or set DATABASE_URL.")


@asynccontextmanager
async def open_pool() -> AsyncIterator[Pool]:
    """Yield the open pool; its connections see the app's schema first.

    Raises SettingsError when nothing says where the database is, ApiError when Lakebase refuses,
    and psycopg.OperationalError when another database can't be reached.
    """
    check_database_settings()

    # Unchecked, a connection that a restart or a sleep of the database killed would fail a turn.
    async def check(connection: Connection) -> None:
        try:
            await AsyncConnectionPool.check_connection(connection)
        except psycopg.OperationalError:
            log.warning("the database has slept or was restarted: connecting again")
            # It killed the others too: a turn would wait longer after each that it meets. Shielded,
            # because what is being checked is in no pool.
            await asyncio.shield(pool.check())
            raise

    # Off the event loop: the Lakebase pool looks its host up with blocking calls.
    build = _lakebase_pool if settings.lakebase_configured() else _plain_pool
    pool = await asyncio.to_thread(build, configure=_see_schema, check=check, **SIZE)
    async with pool:
        try:
            await pool.wait(CONNECT_SECONDS)
        except PoolTimeout:
            await _try_to_connect(pool)
            raise
        yield pool


def _lakebase_pool(**how: Any) -> Pool:
    from databricks_ai_bridge.lakebase import AsyncLakebasePool

    from agent_server.workspace import workspace_client

    client, place = workspace_client(), lakebase_target()
    # Databricks Apps gives the host of a `database` resource, not its name.
    if "." in (host := place.get("instance_name", "")):
        instances = client.database.list_database_instances()
        place["instance_name"] = next((i.name for i in instances if i.read_write_dns == host), host)
    # No cached token: each new connection logs in with one of its own, never an expired one.
    how |= {"workspace_client": client, "token_cache_duration_seconds": 0}
    try:
        pool = AsyncLakebasePool(**place, **how)
    except ValueError as error:
        why = "the workspace refuses, or it is not there"
        raise _unavailable("Unable to resolve", why) from error
    cast(dict[str, Any], pool.pool.kwargs).update(IMPATIENT)
    return pool.pool  # type: ignore[no-any-return]


def _plain_pool(**how: Any) -> Pool:
    how["kwargs"] = {"autocommit": True, "row_factory": dict_row, **IMPATIENT}
    return AsyncConnectionPool(os.environ["DATABASE_URL"], open=False, **how)


async def _try_to_connect(pool: Pool) -> None:
    """Raise why the pool can't connect, which it only logs itself."""
    at, how = cast(Any, (pool.conninfo, pool.kwargs))
    try:
        connection = await pool.connection_class.connect(at, **how)
        await connection.close()
    except (ConnectionError, psycopg.OperationalError) as error:
        if not settings.lakebase_configured():
            raise
        minted = isinstance(error, psycopg.OperationalError)  # else the workspace refused
        refused = "its database sleeps, or does not let us in"
        why = refused if minted else "the workspace gives no password"
        raise _unavailable("Failed to connect to", why) from error


def _unavailable(what: str, why: str) -> ApiError:
    name = "/".join(lakebase_target().values())
    text = f"{what} Lakebase instance {name!r}: {why}. Run: lakebase-agent doctor"
    return ApiError(503, "lakebase_unavailable", text, 5)


async def _see_schema(connection: AsyncConnection[Any]) -> None:
    await connection.execute(SEE_SCHEMA, [schema_name()])


@asynccontextmanager
async def open_setup(pool: Pool) -> AsyncIterator[Connection]:
    """Yield a connection to create tables in the app's schema with, in one process at a time.

    Raises TimeoutError when another process is at it for a minute.
    """
    async with pool.connection() as connection:
        async with asyncio.timeout(SETUP_SECONDS):
            # Polled: a blocking wait deadlocks with the CREATE INDEX CONCURRENTLY of LangGraph.
            while not await _first(connection, LOCK):
                await asyncio.sleep(0.2)
        try:
            if missing := await _first(connection, CREATE_SCHEMA):
                await connection.execute(missing["create"])
            yield connection
        finally:
            await _first(connection, UNLOCK)


async def _first(connection: Connection, query: str) -> DictRow | None:
    return await (await connection.execute(query, [schema_name()])).fetchone()
