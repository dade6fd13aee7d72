"""Text that Postgres can hold, and that a model can be sent."""

import re
from typing import Any

# Postgres can't store NUL characters, and UTF-8 can't encode half a surrogate pair.
UNSTORABLE = "[\x00\ud800-\udfff]"
FIRST_HALVES = "[\ud800-\udbff]"
REPLACEMENT = "\ufffd"
MAX_BITS = 63

# The same as JSON escapes. A backslash that is itself escaped begins none.
BAD_ESCAPE = re.compile(r"\\u(?:0000|d[89a-f])", re.IGNORECASE)
PAIR = r"u d[89ab][0-9a-f]{2} \\ u d[c-f][0-9a-f]{2}"
ESCAPE = re.compile(
    rf"\\ (?: {PAIR} | (?P<bad> u (?: 0000 | d[89a-f][0-9a-f]{{2}})) | .)",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def to_storable(text: str) -> str:
    """Return `text` with U+FFFD in place of each character that can't be stored.

    The halves of a surrogate pair that follow one another become the character that they mean.
    """
    if text.isascii() and "\x00" not in text:  # quick, and so are files in base64
        return text
    if not re.search(UNSTORABLE, text):
        return text
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.replace("\x00", REPLACEMENT)


def to_storable_json(text: str) -> str:
    """Return JSON, which may be broken, with U+FFFD for what can't be stored, escaped or not."""
    text = to_storable(text)
    if not BAD_ESCAPE.search(text):
        return text
    return ESCAPE.sub(lambda found: r"\ufffd" if found["bad"] else found[0], text)


def storable(value: Any) -> Any:
    """Return `value` with every text in its lists and dictionaries made storable.

    An integer of more than 64 bits, which checkpoints can't hold, becomes its digits.
    """
    if isinstance(value, str):
        return to_storable(value)
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        return str(value)
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    return value


def shortened(text: str, most: int) -> str:
    """Return storable text, cut to `most` bytes of UTF-8 with a sentence that says so."""
    if (size := len(data := text.encode())) <= most:
        return text
    note = f"\n[Cut off here: of {size} bytes, at most {most} are kept.]"
    return data[: max(0, most - len(note))].decode(errors="ignore") + note
