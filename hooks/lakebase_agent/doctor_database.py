"""What `doctor` reads in Postgres: the role, the extension, the columns, who owns and may what."""

from collections.abc import Iterator
from typing import Any

import psycopg

from lakebase_agent.findings import Finding, ok, problem, skipped, warning
from lakebase_agent.workspace import POSTGRES_DATABASE

GRANT = "uv run python scripts/grant_lakebase_permissions.py"
OWNERS = """
    SELECT DISTINCT relowner::regrole::text FROM pg_class c
    JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = %s AND relkind IN ('r', 'p') ORDER BY 1"""
FORBIDDEN = """
    SELECT format('%%I.%%I', nspname, relname) FROM pg_class c
    JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = %(schema)s AND relkind IN ('r', 'p') AND NOT (
        has_schema_privilege(%(role)s, n.oid, 'USAGE')
        AND has_table_privilege(%(role)s, c.oid, 'SELECT')
        AND has_table_privilege(%(role)s, c.oid, 'INSERT')
        AND has_table_privilege(%(role)s, c.oid, 'UPDATE')
        AND has_table_privilege(%(role)s, c.oid, 'DELETE')) ORDER BY 1"""
DIMS = """
    SELECT atttypmod FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
    JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = %s AND relname = 'store_vectors' AND attname = 'embedding'"""


def examine_database(
    host: str, user: str, token: str, schema: str, principal: str, dims: str, target: str
) -> Iterator[Finding]:
    """Yield what is found in the app's `schema`; `principal` is the app's role, or empty."""
    place = f"host={host} dbname={POSTGRES_DATABASE} sslmode=require connect_timeout=20"
    try:
        with psycopg.connect(place, user=user, password=token, autocommit=True) as connection:
            yield ok("role", f"{user} may log in")
            yield from _schema(connection, schema, principal, target)
            yield from _vectors(connection, schema, dims)
    except psycopg.OperationalError as error:
        text = f"{user} can't log in at {host}: {' '.join(str(error).split())}"
        yield problem("role", text, "ask for a role in this Lakebase, or wait until it is awake")


def _schema(
    connection: psycopg.Connection, schema: str, principal: str, target: str
) -> Iterator[Finding]:
    owners = _column(connection, OWNERS, [schema])
    if not owners:
        yield ok("tables", f"{schema} has none yet: the app makes them when it starts")
        return
    yield ok("tables", f"{schema} belongs to {', '.join(owners)}")
    if len(owners) > 1:
        text = f"several roles made tables in {schema}: do two apps share it?"
        yield warning("owners", text, "give each app a LAKEBASE_AGENT_MEMORY_SCHEMA of its own")
    if not principal:
        yield skipped("privileges", "the app is not deployed yet")
        return
    if not _column(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", [principal]):
        text = f"the app's service principal {principal} has no role"
        yield problem("privileges", text, f"{GRANT} --target {target}")
        return
    wanted = {"schema": schema, "role": principal}
    if forbidden := _column(connection, FORBIDDEN, wanted):
        text = f"the app may not use {', '.join(forbidden)}"
        yield problem("privileges", text, f"{GRANT} --target {target}")
    else:
        yield ok("privileges", "the app may use every table")


def _vectors(connection: psycopg.Connection, schema: str, dims: str) -> Iterator[Finding]:
    found = _column(connection, DIMS, [schema])
    if not found:
        return
    if not _column(connection, "SELECT 1 FROM pg_extension WHERE extname = 'vector'", []):
        yield problem("vector", "the extension is missing", "CREATE EXTENSION vector SCHEMA public")
    if str(found[0]) == dims:
        yield ok("vectors", f"{schema}.store_vectors holds {dims} numbers each")
    else:
        text = f"{schema}.store_vectors holds {found[0]} numbers each, EMBEDDING_DIMS is {dims}"
        yield problem("vectors", text, "set EMBEDDING_DIMS back, or choose another schema")


def _column(connection: psycopg.Connection, query: str, parameters: Any) -> list[Any]:
    return [row[0] for row in connection.execute(query.encode(), parameters or None).fetchall()]
