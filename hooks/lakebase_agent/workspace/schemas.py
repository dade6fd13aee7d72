"""Names of Postgres schemas."""

import hashlib
import re

SCHEMA_BYTES = 63  # of a name in Postgres


def personal_schema(prefix: str, user: str) -> str:
    """Return the schema of one developer: a table that they create is not the app's."""
    name = re.sub("[^a-z0-9_]", "_", user.split("@")[0].lower())
    room = SCHEMA_BYTES - len(prefix)
    if len(name) > room:
        name = name[: room - 7] + "_" + hashlib.sha256(user.encode()).hexdigest()[:6]
    return prefix + name
