"""What `doctor` reads in Postgres: the role, the extension, the columns, who owns and may what."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from lakebase_agent.doctor.findings import Finding, ok, problem, skipped, warning
from lakebase_agent.workspace.client import POSTGRES_DATABASE

GRANT = "uv run python scripts/grant_lakebase_permissions.py"
OWNERS = """
    SELECT DISTINCT relowner::regrole::text FROM pg_class c
    JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = %s AND relkind IN ('r', 'p') ORDER BY 1"""
# What the app's role lacks, as the grant script says it.
FORBIDDEN = """
    SELECT format('%%s on schema %%I', p, nspname) FROM pg_namespace n,
        unnest(ARRAY['USAGE', 'CREATE']) AS p
    WHERE nspname = %(schema)s AND NOT has_schema_privilege(%(role)s, n.oid, p)
    UNION ALL
    SELECT format('%%s on %%I.%%I', p, nspname, relname) FROM pg_class c
    JOIN pg_namespace n ON n.oid = relnamespace, unnest(CASE relkind WHEN 'S'
        THEN ARRAY['USAGE', 'SELECT'] ELSE ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'] END) AS p
    WHERE nspname = %(schema)s AND relkind IN ('r', 'p', 'S') AND NOT CASE relkind WHEN 'S'
        THEN has_sequence_privilege(%(role)s, c.oid, p)
        ELSE has_table_privilege(%(role)s, c.oid, p) END
    ORDER BY 1"""
TABLE = """
    SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = %s AND relname = 'store_vectors'"""
DIMS = """
    SELECT atttypmod FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
    JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = %s AND relname = 'store_vectors' AND attname = 'embedding'"""

SEPARATE = "give each app a LAKEBASE_AGENT_MEMORY_SCHEMA of its own"


@dataclass(frozen=True, kw_only=True)
class Database:
    """Where an app's tables are, and who uses them.

    `principal` is the app's role, empty before it is deployed; `others` are the apps that have
    other roles; `dims` is the length of its vectors, empty without long-term memory.
    """

    host: str
    user: str
    token: str
    schema: str
    principal: str
    others: Mapping[str, str]
    dims: str
    target: str


def examine_database(place: Database) -> Iterator[Finding]:
    """Yield what is found in the app's schema."""
    at = f"host={place.host} dbname={POSTGRES_DATABASE} sslmode=require connect_timeout=20"
    user, token = place.user, place.token
    try:
        with psycopg.connect(at, user=user, password=token, autocommit=True) as connection:
            yield ok("role", f"{place.user} may log in")
            yield from _schema(connection, place)
            yield from _vectors(connection, place)
    except psycopg.OperationalError as error:
        text = f"{place.user} can't log in at {place.host}: {' '.join(str(error).split())}"
        yield problem("role", text, "ask for a role in this Lakebase, or wait until it is awake")


def _schema(connection: psycopg.Connection, place: Database) -> Iterator[Finding]:
    schema, principal = place.schema, place.principal
    owners = _column(connection, OWNERS, [schema])
    if not owners:
        yield ok("tables", f"{schema} has none yet: the app makes them when it starts")
        return
    yield ok("tables", f"{schema} belongs to {', '.join(owners)}")
    if len(owners) > 1:
        text = f"several roles made tables in {schema}: do two apps share it?"
        yield warning("owners", text, SEPARATE)
    elif other := place.others.get(owners[0].strip('"')):
        yield warning("owners", f"{schema} belongs to another app, {other}", SEPARATE)
    command = f"{GRANT} --target {place.target}"
    if not principal:
        yield skipped("privileges", "the app is not deployed yet")
        return
    if not _column(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", [principal]):
        text = f"the app's service principal {principal} has no role"
        yield problem("privileges", text, command)
        return
    wanted = {"schema": schema, "role": principal}
    if forbidden := _column(connection, FORBIDDEN, wanted):
        yield problem("privileges", f"the app lacks {', '.join(forbidden)}", command)
    else:
        yield ok("privileges", "the app may use every table")


def _vectors(connection: psycopg.Connection, place: Database) -> Iterator[Finding]:
    schema, dims = place.schema, place.dims
    known = _column(connection, "SELECT 1 FROM pg_extension WHERE extname = 'vector'", [])
    if dims and not known and _column(connection, TABLE, [schema]):
        yield problem("vector", "the extension is missing", "CREATE EXTENSION vector SCHEMA public")
    if not dims or not (found := _column(connection, DIMS, [schema])):
        return
    if str(found[0]) == dims:
        yield ok("vectors", f"{schema}.store_vectors holds {dims} numbers each")
    else:
        text = f"{schema}.store_vectors holds {found[0]} numbers each, EMBEDDING_DIMS is {dims}"
        yield problem("vectors", text, "set EMBEDDING_DIMS back, or choose another schema")


def _column(connection: psycopg.Connection, query: str, parameters: Any) -> list[Any]:
    return [row[0] for row in connection.execute(query.encode(), parameters or None).fetchall()]
