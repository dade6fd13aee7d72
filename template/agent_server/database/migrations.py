"""Migrations of the app's own tables: each runs once per database, when the app starts."""

import logging
from collections.abc import Sequence

from agent_server.database.pool import Connection

log = logging.getLogger(__name__)

TABLE = "CREATE TABLE IF NOT EXISTS schema_versions (part text PRIMARY KEY, version int NOT NULL)"
FIND = "SELECT version FROM schema_versions WHERE part = %s"
RECORD = """
    INSERT INTO schema_versions VALUES (%s, %s)
    ON CONFLICT (part) DO UPDATE SET version = excluded.version"""


async def migrate(connection: Connection, part: str, steps: Sequence[str]) -> None:
    """Run the `steps` that the tables of `part` have not had; a step's position is its version.

    A step and its record are one transaction. Never edit a released step: append one, and let it
    suit the previous release too, because both run during a deployment. Tables that a later release
    has changed are used as they are. Raises InsufficientPrivilege when a step is due and another
    role owns the tables: that role must start this release first.
    """
    await connection.execute(TABLE)  # first: the name could otherwise mean a table in `public`
    row = await (await connection.execute(FIND, [part])).fetchone()
    held = row["version"] if row else -1
    if held >= len(steps):
        log.warning("the tables of %s are of a later release, version %d", part, held)
    for version, step in list(enumerate(steps))[held + 1 :]:
        async with connection.transaction():
            await connection.execute(step)
            await connection.execute(RECORD, [part, version])
