"""Exports and deletes the rows of the app's schema that belong to a user or a thread."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from psycopg import sql

from agent_server.database.lakebase import schema_name
from agent_server.database.pool import Connection, Pool
from agent_server.database.tables import THREAD_COLUMNS, Source, find_tables
from agent_server.errors import ApiError
from agent_server.identity import GROUP_MEMORIES, SAVED_BY, User
from agent_server.settings import limit

POLL_SECONDS = 0.5
MAX_POLLS = 30
OF_THREAD = {column: f"{column} = %(thread)s" for column in THREAD_COLUMNS}
OF_USER = {
    "user_id": "user_id = %(id)s",
    "chat_id": "chat_id IN (SELECT id FROM chats WHERE user_id = %(id)s)",
    "response_id": "response_id IN (SELECT id FROM responses WHERE user_id = %(id)s)",
    # A store namespace has a kind and a user's key, joined by a period; keys contain no periods.
    "prefix": "split_part(prefix, '.', 2) = %(key)s",
    **{column: f"starts_with({column}, %(key)s || '/')" for column in THREAD_COLUMNS},
}
# What the user saved for a group is the group's: it is exported and, when the user is forgotten,
# stays without their name.
SAVED_FOR_GROUPS = sql.SQL(
    f"prefix ~>=~ '{GROUP_MEMORIES}.' AND prefix ~<~ '{GROUP_MEMORIES}/' "
    f"AND value ->> '{SAVED_BY}' = %(id)s"
)
REMOVE_NAME = f"UPDATE {{}} SET value = value - '{SAVED_BY}' WHERE {{}}"
# By then the turn has ended, unless its process died: then it will never release the lease.
REMOVE_OLD_LEASES = (
    "DELETE FROM {} WHERE {} AND expires_at < now() - make_interval(secs => %(lease_seconds)s)"
)
# With those in namespaces inside the user's: `/` follows the period in ASCII.
DELETE_MEMORIES = """
    DELETE FROM store
    WHERE prefix = %(place)s OR
    (prefix ~>=~ (%(place)s || '.') AND prefix ~<~ (%(place)s || '/'))"""
SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
WHILE_READ = "SET LOCAL statement_timeout = {}"  # the client's pace, not the database's
# One export at a time: a user can't hold all connections by reading slowly.
LOCK = "SELECT 1 WHERE pg_try_advisory_xact_lock(hashtextextended('export: ' || %s, 0))"
# COPY sends row after row, as fast as they are read. Not as jsonb, which holds no NUL: a model may
# have said one before its text was cleaned.
COPY_ROWS = "COPY (SELECT to_json(t) FROM {} AS t WHERE {}) TO STDOUT"
PIECE_BYTES = 65_536
END_LEASES = "UPDATE {} SET expires_at = least(expires_at, now()) WHERE {}"


async def export_user(pool: Pool, user: User) -> AsyncGenerator[bytes, None]:
    """Yield a JSON object with every row that belongs to the user, by table, as of one moment.

    The first piece is empty; from then on, until the generator is closed, it holds a connection.
    Raises a 429 ApiError while another export of the user is running.
    """
    values = {"id": user.id, "key": user.key}
    async with pool.connection() as connection, connection.transaction():
        await connection.execute(SNAPSHOT)
        await connection.execute(sql.SQL(WHILE_READ).format(f"{limit('EXPORT_SECONDS')}s"))
        if not await (await connection.execute(LOCK, [f"{schema_name()} {user.id}"])).fetchall():
            raise ApiError(429, "export_running", "Another export of yours has not ended.", 5)
        tables = await find_tables(connection, OF_USER)
        if "store" in tables:
            table, condition = tables["store"]
            tables["store"] = table, sql.SQL(" OR ").join([condition, SAVED_FOR_GROUPS])
        yield b""
        yield b"{"
        for number, (name, source) in enumerate(tables.items()):
            yield f"{', ' if number else ''}{json.dumps(name)}: [".encode()
            async for piece in _rows(connection, source, values):
                yield piece
            yield b"]"
    yield b"}"


async def _rows(
    connection: Connection, source: Source, values: dict[str, str]
) -> AsyncIterator[bytes]:
    """Yield the rows of a table as JSON, separated by commas."""
    piece, separator = bytearray(), b""
    copied = sql.SQL(COPY_ROWS).format(*source)
    async with connection.cursor() as cursor, cursor.copy(copied, values) as copy:
        copy.set_types(["text"])
        async for (row,) in copy.rows():
            piece += separator + row.encode()
            separator = b", "
            if len(piece) >= PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
                # Rows that have already arrived, and a reader who keeps up, would not wait.
                await asyncio.sleep(0)
    yield bytes(piece)


async def delete_user(pool: Pool, user: User) -> None:
    """Delete every row that belongs to the user: all of them, or none if that fails.

    What they saved for a group stays, and no longer names them. Their running turns end with a 409
    within seconds, and leave nothing behind.
    """
    await _delete(pool, OF_USER, {"id": user.id, "key": user.key})


async def delete_memories(pool: Pool, user: User) -> None:
    """Delete what the agent remembers about the user; only for a project with long-term memory."""
    async with pool.connection() as connection:
        await connection.execute(DELETE_MEMORIES, {"place": ".".join(user.namespace)})


async def delete_thread(pool: Pool, user: User, thread_id: str) -> None:
    """Delete every row of one thread, as `delete_user` does."""
    await _delete(pool, OF_THREAD, {"thread": user.thread_key(thread_id)})


async def _delete(pool: Pool, conditions: dict[str, str], values: dict[str, str]) -> None:
    if not await _delete_once(pool, conditions, values):
        return
    for _ in range(MAX_POLLS):
        await asyncio.sleep(POLL_SECONDS)
        if not await _delete_once(pool, conditions, values):
            break
    # A turn's last rows may arrive after it has ended.
    await asyncio.sleep(POLL_SECONDS)
    await _delete_once(pool, conditions, values)


async def _delete_once(pool: Pool, conditions: dict[str, str], values: dict[str, str]) -> bool:
    """Delete once; return whether a turn is still running, and may store more."""
    async with pool.connection() as connection, connection.transaction():
        found = await find_tables(connection, conditions)
        leases = found.pop("turn_leases", None)
        # First: once its lease is gone, all rows of a turn are visible.
        running = await _end_turns(connection, leases, values) if leases else False
        for source in found.values():
            await connection.execute(sql.SQL("DELETE FROM {} WHERE {}").format(*source), values)
        if "store" in found:  # which holds nothing of threads: a user is forgotten
            removed = sql.SQL(REMOVE_NAME).format(found["store"][0], SAVED_FOR_GROUPS)
            await connection.execute(removed, values)
    return running


async def _end_turns(connection: Connection, source: Source, values: dict[str, Any]) -> bool:
    """Expire the leases, so that their turns end; return whether a turn still holds one."""
    values = {**values, "lease_seconds": limit("LEASE_SECONDS")}
    await connection.execute(sql.SQL(REMOVE_OLD_LEASES).format(*source), values)
    return (await connection.execute(sql.SQL(END_LEASES).format(*source), values)).rowcount > 0
