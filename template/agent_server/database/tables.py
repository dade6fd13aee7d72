"""The tables of the app's schema that hold the rows of a user or a thread.

They come from Postgres's catalog; the columns that identify an owner are named by who asks.
"""

from collections.abc import Mapping

from psycopg import sql

from agent_server.database.lakebase import schema_name
from agent_server.database.pool import Connection

Source = tuple[sql.Identifier, sql.Composable]  # a table, and the condition on its rows
THREAD_COLUMNS = ("thread_id", "thread_key", "session_id")
COLUMNS = """
    SELECT table_name AS name, array_agg(column_name::text) AS columns
    FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_schema = %s AND table_type = 'BASE TABLE' GROUP BY table_name ORDER BY table_name"""


async def find_tables(connection: Connection, conditions: Mapping[str, str]) -> dict[str, Source]:
    """Return each table that has one of the columns, with that column's condition.

    `conditions` has the columns with a condition for each, in SQL. A table that has several gets
    the first.
    """
    found, schema = dict[str, Source](), schema_name()
    for table in await (await connection.execute(COLUMNS, [schema])).fetchall():
        column = next((column for column in conditions if column in table["columns"]), None)
        if column:
            place = sql.Identifier(schema, table["name"])
            found[table["name"]] = (place, sql.SQL(conditions[column]))
    return found
