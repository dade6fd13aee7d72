"""Which rows of the app's schema belong to whom: the catalog knows the tables, this the columns."""

import asyncio
from typing import Any

from psycopg import sql

from agent_server.identity import User
from agent_server.lakebase import Connection, Pool, schema_name

TURN_ENDS_SECONDS = 4  # more than a turn takes to renew its lease
THREAD_COLUMNS = ("thread_id", "thread_key", "session_id")
OF_THREAD = {column: f"{column} = %(thread)s" for column in THREAD_COLUMNS}
OF_USER = {
    "user_id": "user_id = %(id)s",
    "chat_id": "chat_id IN (SELECT id FROM chats WHERE user_id = %(id)s)",
    "response_id": "response_id IN (SELECT id FROM responses WHERE user_id = %(id)s)",
    # Namespaces of the store are joined by periods, of which a key holds none.
    "prefix": "%(key)s = ANY(string_to_array(prefix, '.'))",
    **{column: f"starts_with({column}, %(key)s || '/')" for column in THREAD_COLUMNS},
}
COLUMNS = """
    SELECT table_name AS name, array_agg(column_name::text) AS columns
    FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_schema = %s AND table_type = 'BASE TABLE' GROUP BY table_name ORDER BY table_name"""


async def export_user(pool: Pool, user: User) -> dict[str, list[Any]]:
    """Return every row that belongs to the user, by table."""
    values, rows = {"id": user.id, "key": user.key}, {}
    async with pool.connection() as connection:
        for name, source in await _find(connection, OF_USER):
            query = sql.SQL("SELECT to_jsonb(t) AS row FROM {} AS t WHERE {}").format(*source)
            found = await (await connection.execute(query, values)).fetchall()
            rows[name] = [row["row"] for row in found]
    return rows


async def delete_user(pool: Pool, user: User) -> None:
    """Delete every row that belongs to the user: all of them, or none when it fails.

    A turn that still runs ends with a 409, which takes some seconds; it leaves nothing either.
    """
    await _delete(pool, OF_USER, {"id": user.id, "key": user.key})


async def delete_thread(pool: Pool, user: User, thread_id: str) -> None:
    """Delete every row of one thread, as `delete_user` does."""
    await _delete(pool, OF_THREAD, {"thread": user.thread_key(thread_id)})


async def _delete(pool: Pool, conditions: dict[str, str], values: dict[str, str]) -> None:
    if await _delete_once(pool, conditions, values):
        await asyncio.sleep(TURN_ENDS_SECONDS)
        await _delete_once(pool, conditions, values)


async def _delete_once(pool: Pool, conditions: dict[str, str], values: dict[str, str]) -> bool:
    """Return whether a turn was running, which ends when it misses its lease."""
    running = False
    async with pool.connection() as connection, connection.transaction():
        for name, source in await _find(connection, conditions):
            query = sql.SQL("DELETE FROM {} WHERE {}").format(*source)
            deleted = (await connection.execute(query, values)).rowcount
            running = running or bool(deleted and name == "turn_leases")
    return running


async def _find(
    connection: Connection, conditions: dict[str, str]
) -> list[tuple[str, tuple[sql.Identifier, sql.SQL]]]:
    found, schema = [], schema_name()
    for table in await (await connection.execute(COLUMNS, [schema])).fetchall():
        column = next((column for column in conditions if column in table["columns"]), None)
        if column:
            place = sql.Identifier(schema, table["name"])
            found.append((table["name"], (place, sql.SQL(conditions[column]))))
    return found
