"""What is in the app's tables."""

import os
from typing import Any

import psycopg
from psycopg.rows import dict_row

Rows = dict[str, set[str]]


def rows() -> Rows:
    """Return every row of every table of the app's schema, as text."""
    schema = os.environ["LAKEBASE_AGENT_MEMORY_SCHEMA"]
    with psycopg.connect(os.environ["DATABASE_URL"], row_factory=dict_row) as connection:
        query = "SELECT tablename AS name FROM pg_tables WHERE schemaname = %s"
        tables = [row["name"] for row in connection.execute(query, [schema])]
        return {name: _texts(connection, f"{schema}.{name}") for name in tables}


def insert(table: str, *values: str) -> None:
    """Insert a row of texts into one of the app's tables."""
    schema, places = os.environ["LAKEBASE_AGENT_MEMORY_SCHEMA"], ", ".join(["%s"] * len(values))
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute(f"INSERT INTO {schema}.{table} VALUES ({places})", values)


def added_since(before: Rows) -> Rows:
    """Return the rows that were not there before."""
    return {name: found - before.get(name, set()) for name, found in rows().items()}


def _texts(connection: psycopg.Connection[dict[str, Any]], table: str) -> set[str]:
    found = connection.execute(f"SELECT t::text AS row FROM {table} AS t")
    return {row["row"] for row in found}
