"""What `doctor` checks in Postgres: the role, the extension, the tables, owners and privileges."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from lakebase_agent.doctor.findings import Finding, ok, problem, skipped, warning
from lakebase_agent.doctor.sizes import check_sizes
from lakebase_agent.workspace.client import POSTGRES_DATABASE

GRANT = "uv run python scripts/grant_lakebase_permissions.py"
OWNERS = """
    SELECT DISTINCT relowner::regrole::text FROM pg_class c
    JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = %s AND relkind IN ('r', 'p') ORDER BY 1"""
# Named as the grant script names them.
MISSING_PRIVILEGES = """
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
VECTOR_TABLE = """
    SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = %s AND relname = 'store_vectors'"""
VECTOR_LENGTH = """
    SELECT atttypmod FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
    JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = %s AND relname = 'store_vectors' AND attname = 'embedding'"""
EXTENSION = "SELECT 1 FROM pg_extension WHERE extname = 'vector'"
ROLE = "SELECT 1 FROM pg_roles WHERE rolname = %s"
SEPARATE = "give each app its own LAKEBASE_AGENT_MEMORY_SCHEMA"


@dataclass(frozen=True, kw_only=True)
class Database:
    """Where an app's tables are, and who uses them.

    `principal` is the app's role, empty before it is deployed; `other_apps` are the names of other
    apps by their roles; `dims` is the length of the app's vectors, empty without long-term memory;
    `settings` are the project's own.
    """

    host: str
    user: str
    token: str
    schema: str
    principal: str
    other_apps: Mapping[str, str]
    dims: str
    target: str
    settings: Mapping[str, str]


def check_database(database: Database) -> Iterator[Finding]:
    """Yield what is found in the app's schema."""
    where = f"host={database.host} dbname={POSTGRES_DATABASE} sslmode=require connect_timeout=20"
    user, token = database.user, database.token
    try:
        with psycopg.connect(where, user=user, password=token, autocommit=True) as connection:
            yield ok("role", f"{user} can log in")
            yield from _check_tables(connection, database)
            yield from _check_vectors(connection, database)
            yield from check_sizes(connection, database.schema, database.settings)
    except psycopg.OperationalError as error:
        text = f"{user} can't log in at {database.host}: {' '.join(str(error).split())}"
        yield problem("role", text, "ask for a role in this Lakebase, or wait until it is awake")


def _check_tables(connection: psycopg.Connection, database: Database) -> Iterator[Finding]:
    schema = database.schema
    owners = _column(connection, OWNERS, [schema])
    if not owners:
        yield ok("tables", f"{schema} has none yet: the app creates them when it starts")
        return
    yield ok("tables", f"{schema} belongs to {', '.join(owners)}")
    if len(owners) > 1:
        text = f"several roles own tables in {schema}: do two apps share it?"
        yield warning("owners", text, SEPARATE)
    elif other := database.other_apps.get(owners[0].strip('"')):
        yield warning("owners", f"{schema} belongs to another app, {other}", SEPARATE)
    yield _privileges_finding(connection, database)


def _privileges_finding(connection: psycopg.Connection, database: Database) -> Finding:
    principal, command = database.principal, f"{GRANT} --target {database.target}"
    if not principal:
        return skipped("privileges", "the app is not deployed yet")
    if not _column(connection, ROLE, [principal]):
        text = f"the app's service principal {principal} has no role"
        return problem("privileges", text, command)
    parameters = {"schema": database.schema, "role": principal}
    if missing := _column(connection, MISSING_PRIVILEGES, parameters):
        return problem("privileges", f"the app lacks {', '.join(missing)}", command)
    return ok("privileges", "the app may use every table")


def _check_vectors(connection: psycopg.Connection, database: Database) -> Iterator[Finding]:
    schema, dims = database.schema, database.dims
    if not dims:
        return
    if _column(connection, VECTOR_TABLE, [schema]) and not _column(connection, EXTENSION, []):
        yield problem("vector", "the extension is missing", "CREATE EXTENSION vector SCHEMA public")
    lengths = _column(connection, VECTOR_LENGTH, [schema])
    if not lengths:
        return
    if str(lengths[0]) == dims:
        yield ok("vectors", f"{schema}.store_vectors holds {dims} numbers each")
    else:
        text = f"{schema}.store_vectors holds {lengths[0]} numbers each, EMBEDDING_DIMS is {dims}"
        yield problem("vectors", text, "set EMBEDDING_DIMS back, or choose another schema")


def _column(connection: psycopg.Connection, query: str, parameters: Any) -> list[Any]:
    return [row[0] for row in connection.execute(query.encode(), parameters or None).fetchall()]
