"""Whether a turn would work now: tries what a turn does to the database, and says what fails."""

import asyncio
from collections.abc import Iterable

from psycopg import sql
from psycopg.rows import DictRow
from psycopg_pool import PoolTimeout

from agent_server.database.connections import answers_within
from agent_server.database.lakebase import schema_name
from agent_server.database.pool import Connection, Pool, try_to_connect
from agent_server.errors import ApiError, to_api_error
from agent_server.settings import limit

# What turns write. A project has the tables of its features.
TABLES = [
    "turn_leases", "checkpoints", "checkpoint_blobs", "checkpoint_writes", "agent_sessions",
    "agent_messages", "chats", "messages", "responses", "response_events", "store", "store_vectors",
]  # fmt: skip
FIND = """
    SELECT table_name AS name, array_agg(column_name::text) AS columns
    FROM information_schema.columns
    WHERE table_schema = %s AND table_name = ANY(%s) AND is_generated = 'NEVER'
    GROUP BY table_name ORDER BY table_name"""
LIMITS = "SET LOCAL lock_timeout = {wait}; SET LOCAL statement_timeout = {wait};"
# No row is written. Each is a transaction of its own: it holds one lock at a time, and so no
# migration can deadlock with it.
WRITE = """
    WITH added AS (INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE false),
        changed AS (UPDATE {table} SET {column} = {column} WHERE false),
        deleted AS (DELETE FROM {table} WHERE false)
    SELECT"""
# More than fits into memory: the rest goes to a file, for which a full disk has no room.
FILL = """
    SET LOCAL work_mem = '64kB'; SET LOCAL temp_tablespaces = '';
    SELECT count(*) FROM generate_series(1, 5000)"""


class Readiness:
    """Checks that a turn would work; there is never more than one check at a time."""

    def __init__(self, pool: Pool, tables: Iterable[DictRow]) -> None:
        self._pool = pool
        self._statements = {"disk": _limited(sql.SQL(FILL))}
        for table in tables:
            self._statements[f"table {table['name']}"] = _to_write(table["name"], table["columns"])
        self._step = ""  # what the check that is under way tries
        self._check: asyncio.Task[ApiError | None] | None = None

    async def check(self) -> None:
        """Raise a 503 ApiError that names what fails, or does not answer in READY_SECONDS."""
        if self._check is None or self._check.done():
            self._check = asyncio.create_task(self._try())
        check, seconds = self._check, limit("READY_SECONDS")
        # Not cancelled: what does not answer can't be, and the next caller takes up the same check.
        await asyncio.wait([check], timeout=0.9 * seconds)
        if not check.done():
            raise _not_ready(self._step, f"No answer within {seconds} seconds.")
        if failure := check.result():
            raise failure

    async def _try(self) -> ApiError | None:
        try:
            await self._use_connection()
        except Exception as error:  # whatever fails, the answer says where
            return _not_ready(self._step, to_api_error(error).detail)
        return None

    async def _use_connection(self) -> None:
        self._step = "connection"
        try:
            async with self._pool.connection(timeout=limit("READY_SECONDS") / 2) as connection:
                await self._write(connection)
        except PoolTimeout:
            # Either the pool is full, or it can't connect; only a connection of its own can tell.
            await try_to_connect(self._pool)
            self._refuse_if_full()
            raise

    def _refuse_if_full(self) -> None:
        held = self._pool.get_stats()
        if held["pool_size"] >= self._pool.max_size and not held["pool_available"]:
            text = f"All connections are in use: {self._pool.max_size}, see POOL_CONNECTIONS."
            raise ApiError(503, "database_busy", text)

    async def _write(self, connection: Connection) -> None:
        with answers_within(connection, limit("ANSWER_SECONDS")):
            for step, statement in self._statements.items():
                self._step = step
                await connection.execute(statement, prepare=False)


async def open_readiness(pool: Pool) -> Readiness:
    """Return the check of this app's tables as they are now."""
    async with pool.connection() as connection:
        tables = await connection.execute(FIND, [schema_name(), TABLES])
        return Readiness(pool, await tables.fetchall())


def _to_write(table: str, columns: list[str]) -> sql.Composed:
    names = [sql.Identifier(name) for name in columns]
    return _limited(
        sql.SQL(WRITE).format(
            table=sql.Identifier(schema_name(), table),
            columns=sql.SQL(", ").join(names),
            column=names[0],
        )
    )


def _limited(statement: sql.SQL | sql.Composed) -> sql.Composed:
    wait = sql.Literal(500 * limit("READY_SECONDS"))  # milliseconds
    return sql.SQL(LIMITS).format(wait=wait) + statement


def _not_ready(step: str, reason: str) -> ApiError:
    return ApiError(503, "not_ready", f"database: {step}: {reason}", retry_after=2)
