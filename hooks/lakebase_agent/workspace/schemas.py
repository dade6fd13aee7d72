"""Names of Postgres schemas."""

import hashlib
import re

MAX_BYTES = 63  # of a name in Postgres


def personal_schema(prefix: str, user: str) -> str:
    """Return the schema of one developer, `prefix` and their name, of at most 63 bytes.

    Each has their own, because the app could not alter tables that they create.
    """
    name = re.sub("[^a-z0-9_]", "_", user.split("@")[0].lower())
    length = MAX_BYTES - len(prefix)
    if len(name) > length:
        name = name[: length - 7] + "_" + hashlib.sha256(user.encode()).hexdigest()[:6]
    return prefix + name
