"""Text that can be stored, and sent on."""

import re

UNSTORABLE = "[\x00\ud800-\udfff]"  # in a text of Postgres; halves of pairs are in no text at all


def to_storable(text: str) -> str:
    """Return `text` with a replacement for what can't be stored."""
    return re.sub(UNSTORABLE, "\ufffd", text)
