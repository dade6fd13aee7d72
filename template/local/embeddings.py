"""Vectors for the offline model: texts that share words are near each other."""

import hashlib
import math
import re

DIMS = 1024
STOP_WORDS = """
    a about am an and are as at be but by can could did do does for from had has have he her
    him his how i if in is it its know like me my of on or our please remember she so tell that
    the their them they this to us was we were what when where which who why will with would
    you your
"""
STOP = frozenset(STOP_WORDS.split())


def embed(text: str, dims: int = DIMS) -> list[float]:
    """Return a unit vector of `dims` numbers, built from the words of `text` and their parts."""
    vector = [0.0] * dims
    words = re.findall(r"\w+", text.lower())
    for word in [w for w in words if w not in STOP] or words or [text]:
        stem = re.sub(r"(ing|ed|es|s)$", "", word) if len(word) > 4 else word
        _add(vector, stem, 1.0)
        for start in range(len(stem) - 2):
            _add(vector, f"part:{stem[start : start + 3]}", 0.25)
    length = math.hypot(*vector)
    return [number / length for number in vector]


def _add(vector: list[float], feature: str, weight: float) -> None:
    # Not hash(): it differs from process to process, and the vectors are stored.
    digest = hashlib.blake2b(feature.encode("utf-8", "replace"), digest_size=8).digest()
    number = int.from_bytes(digest, "big")
    vector[number % len(vector)] += weight if number >> 63 else -weight
