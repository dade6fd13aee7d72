"""Exports and deletes the rows of the app's schema that belong to a user or a thread."""

import asyncio
from typing import Any

from psycopg import sql

from agent_server.database.pool import Connection, Pool
from agent_server.database.tables import THREAD_COLUMNS, Source, find_tables
from agent_server.identity import User
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
# By then the turn has ended, unless its process died: then it will never release the lease.
REMOVE_OLD_LEASES = (
    "DELETE FROM {} WHERE {} AND expires_at < now() - make_interval(secs => %(lease_seconds)s)"
)
# With those in namespaces inside the user's: `/` follows the period in ASCII.
DELETE_MEMORIES = """
    DELETE FROM store
    WHERE prefix = %(place)s OR
    (prefix ~>=~ (%(place)s || '.') AND prefix ~<~ (%(place)s || '/'))"""
END_LEASES = "UPDATE {} SET expires_at = least(expires_at, now()) WHERE {}"


async def export_user(pool: Pool, user: User) -> dict[str, list[Any]]:
    """Return every row that belongs to the user, by table."""
    values, rows = {"id": user.id, "key": user.key}, {}
    async with pool.connection() as connection:
        for name, source in (await find_tables(connection, OF_USER)).items():
            query = sql.SQL("SELECT to_jsonb(t) AS row FROM {} AS t WHERE {}").format(*source)
            found = await (await connection.execute(query, values)).fetchall()
            rows[name] = [row["row"] for row in found]
    return rows


async def delete_user(pool: Pool, user: User) -> None:
    """Delete every row that belongs to the user: all of them, or none if that fails.

    The user's running turns end with a 409 within seconds, and leave nothing behind.
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
    return running


async def _end_turns(connection: Connection, source: Source, values: dict[str, Any]) -> bool:
    """Expire the leases, so that their turns end; return whether a turn still holds one."""
    values = {**values, "lease_seconds": limit("LEASE_SECONDS")}
    await connection.execute(sql.SQL(REMOVE_OLD_LEASES).format(*source), values)
    return (await connection.execute(sql.SQL(END_LEASES).format(*source), values)).rowcount > 0
