"""Changes of the app's own tables, each made once in a database, at the first start that has it."""

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
    """Bring the tables of a part up to the last of its `steps`, whose positions are versions.

    A step and its record are one transaction. Never edit a step that has been released: append one,
    which the release before it can live with, because both run while a new one is deployed. Tables
    that a later release has changed are used as they are. Raises InsufficientPrivilege when a step
    is due and another role owns the tables: that role must start this release first.
    """
    await connection.execute(TABLE)  # first, or the name could mean a table in `public`
    row = await (await connection.execute(FIND, [part])).fetchone()
    held = row["version"] if row else -1
    if held >= len(steps):
        log.warning("the tables of %s are of a later release, version %d", part, held)
    for version, step in list(enumerate(steps))[held + 1 :]:
        async with connection.transaction():
            await connection.execute(step)
            await connection.execute(RECORD, [part, version])
