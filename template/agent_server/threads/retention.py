"""How long threads and their leases are kept."""

from datetime import timedelta
from typing import Any

from psycopg import sql

from agent_server.database.pool import Connection
from agent_server.database.retention import Rule, kept, statement
from agent_server.database.tables import THREAD_COLUMNS, find_tables
from agent_server.settings import has, limit
from agent_server.threads.store import LAST_USED, NEXT_THREADS

ROWS = {column: f"{column} = ANY(%(keys)s)" for column in THREAD_COLUMNS}
OLD_LEASE = "expires_at < now() - %(age)s"
OLD_LEASES = f"""
    SELECT thread_key AS key, true AS expired FROM turn_leases
    WHERE {OLD_LEASE} AND thread_key > %(after)s ORDER BY thread_key LIMIT %(page)s"""
DELETE_LEASES = f"DELETE FROM turn_leases WHERE thread_key = ANY(%(keys)s) AND {OLD_LEASE}"
OLD_THREADS = f"""
    SELECT key, {LAST_USED} < now() - %(age)s AS expired FROM ({NEXT_THREADS}) AS page
    ORDER BY key"""
# A chat's thread lives as long as its chat, whose id is that of the thread.
OF_NO_CHAT = f"""
    SELECT key, expired AND NOT EXISTS (SELECT FROM chats WHERE id = CASE
        WHEN split_part(key, '/', 2) ~ '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$'
        THEN split_part(key, '/', 2)::uuid END) AS expired
    FROM ({OLD_THREADS}) AS page ORDER BY key"""
STILL_OLD = f"""
    SELECT key FROM unnest(%(keys)s::text[]) AS key WHERE {LAST_USED} < now() - %(age)s"""
WITHOUT_RUN = """
    SELECT key FROM unnest(%(keys)s::text[]) AS key WHERE NOT EXISTS (
        SELECT FROM responses WHERE thread_key = key AND status IN ('queued', 'in_progress'))"""
# A turn that begins meanwhile waits for the end of the transaction, and finds an empty thread. The
# lease of a running turn is not even locked: it must be renewed.
CLAIM = """
    INSERT INTO turn_leases AS held SELECT key, gen_random_uuid(), now()
    FROM unnest(%(keys)s::text[]) AS key
    WHERE NOT EXISTS (SELECT FROM turn_leases WHERE thread_key = key AND expires_at >= now())
    ON CONFLICT (thread_key) DO UPDATE SET owner = excluded.owner WHERE held.expires_at < now()
    RETURNING thread_key AS key"""


def rules() -> list[Rule]:
    """Return the rules for the leases of dead processes, and for threads."""
    # By then the turn has ended, although it could not release its lease.
    lease = timedelta(seconds=limit("LEASE_SECONDS"))
    threads = OF_NO_CHAT if has("chat") else OLD_THREADS
    return [
        Rule("leases", lease, OLD_LEASES, statement(DELETE_LEASES)),
        Rule("threads", kept("THREADS_KEPT_DAYS"), threads, _delete_old_threads),
    ]


async def claim_threads(connection: Connection, keys: list[str]) -> list[str]:
    """Return those of the threads that nothing uses, for this transaction to delete."""
    for query in (WITHOUT_RUN, CLAIM) if has("background") else (CLAIM,):
        keys = await _keys(connection, query, {"keys": keys})
    return keys


async def delete_threads(connection: Connection, keys: list[str]) -> None:
    """Delete every row of threads that were claimed, but not their background responses."""
    found = await find_tables(connection, ROWS)
    found.pop("responses", None)  # these have a rule of their own
    for source in found.values():
        await connection.execute(sql.SQL("DELETE FROM {} WHERE {}").format(*source), {"keys": keys})


async def _delete_old_threads(connection: Connection, values: dict[str, Any]) -> None:
    claimed = await claim_threads(connection, values["keys"])
    # Again: a turn may have ended in between.
    await delete_threads(connection, await _keys(connection, STILL_OLD, values | {"keys": claimed}))


async def _keys(connection: Connection, query: str, values: dict[str, Any]) -> list[str]:
    rows = await (await connection.execute(query, values)).fetchall()
    return [row["key"] for row in rows]
