"""What `doctor` says of the app's tables: how large they are, and how long their rows are kept."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from lakebase_agent.doctor.findings import Finding, ok, skipped
from lakebase_agent.project.env_file import read_env

URL, SCHEMA = "DATABASE_URL", "LAKEBASE_AGENT_MEMORY_SCHEMA"
SMALL_BYTES = 32 * 2**20  # of a table whose rows are counted, not estimated
SECONDS = 10  # for one query
KEPT = {
    "threads": "THREADS_KEPT_DAYS",
    "chats": "CHATS_KEPT_DAYS",
    "responses": "BACKGROUND_KEPT_DAYS",
}
Connection = psycopg.Connection[dict[str, object]]

TABLES = """
    SELECT c.relname AS name, pg_total_relation_size(c.oid) AS bytes,
        pg_size_pretty(pg_total_relation_size(c.oid)) AS size,
        greatest(reltuples, n_live_tup, 0)::bigint AS estimate
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
    WHERE nspname = %s AND relkind = 'r' ORDER BY bytes DESC, name"""
# Each is asked of the table it names; the answer, if there is one, is told.
FACTS = {
    "turn_leases": "SELECT count(*) || ' expired leases' FROM {} WHERE expires_at < now()",
    "checkpoints": """
        SELECT 'the oldest thread was last used on ' || left(min(last), 10) FROM (
            SELECT max(checkpoint->>'ts') AS last FROM {} WHERE checkpoint_ns = ''
            GROUP BY thread_id) AS threads""",
    "agent_sessions": """
        SELECT 'the oldest thread was last used on ' || min(updated_at)::date FROM {}""",
    "chats": "SELECT 'the oldest chat was last used on ' || min(updated_at)::date FROM {}",
}


def check_database_url(folder: Path, settings: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the sizes of a database that DATABASE_URL names, in the environment or in .env."""
    given = {**settings, **read_env(folder), **os.environ}
    if not (url := given.get(URL)):
        return
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=SECONDS) as connection:
            yield from check_sizes(connection, given.get(SCHEMA, ""), given)
    except psycopg.Error as error:
        yield skipped("sizes", f"{URL} can't be read: {' '.join(str(error).split())}")


def check_sizes(
    connection: psycopg.Connection, schema: str, settings: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield the size of each table in the schema, and how long what is in them is kept.

    What may not be read is left out.
    """
    cursor = connection.cursor(row_factory=dict_row)
    cursor.execute(f"SET statement_timeout = '{SECONDS}s'".encode())
    tables = cursor.execute(TABLES.encode(), [schema]).fetchall()
    if not tables:
        return
    lines = [f"{t['name']:24} {_rows(connection, schema, t):>16} {t['size']:>10}" for t in tables]
    yield ok(
        "sizes", "\n".join([f"{len(tables)} tables in {schema}, their rows and sizes", *lines])
    )
    names = [str(table["name"]) for table in tables]
    facts = [
        _ask(connection, query, schema, name) for name, query in FACTS.items() if name in names
    ]
    kept = [f"{what} {_days(settings[name])}" for what, name in KEPT.items() if name in settings]
    yield ok("kept", "; ".join(filter(None, [", ".join(kept), *facts])))


def _days(days: str) -> str:
    return "for ever" if days == "0" else f"for {days} days"


def _rows(connection: psycopg.Connection, schema: str, table: Mapping[str, object]) -> str:
    count = ""
    if int(str(table["bytes"])) <= SMALL_BYTES:
        count = _ask(connection, "SELECT count(*) FROM {}", schema, str(table["name"]))
    return f"{int(count):,}" if count else f"about {table['estimate']:,}"


def _ask(connection: psycopg.Connection, query: str, schema: str, name: str) -> str:
    """Return the answer; empty if there is none, if it takes too long, or may not be known."""
    try:
        asked = sql.SQL(query).format(sql.Identifier(schema, name))
        row = connection.execute(asked).fetchone()
    except psycopg.Error:
        return ""
    return str(row[0]) if row and row[0] is not None else ""
