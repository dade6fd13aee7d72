"""Text that Postgres can hold."""

import re

# Postgres can't store NUL characters, and UTF-8 can't encode half a surrogate pair.
UNSTORABLE = "[\x00\ud800-\udfff]"


def to_storable(text: str) -> str:
    """Return `text` with U+FFFD in place of each character that can't be stored."""
    return re.sub(UNSTORABLE, "\ufffd", text)
