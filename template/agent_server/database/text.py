"""Text that Postgres can hold."""

import re

# Postgres holds no NUL characters, and no encoding holds half a surrogate pair.
UNSTORABLE = "[\x00\ud800-\udfff]"


def to_storable(text: str) -> str:
    """Return `text` with a replacement character for each one that can't be stored."""
    return re.sub(UNSTORABLE, "\ufffd", text)
