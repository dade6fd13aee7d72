"""Which name was meant, when one was given that does not exist."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(given: str, names: Iterable[str]) -> str:
    """Return the nearest of `names`; empty if none is near."""
    return next(iter(get_close_matches(given, list(names), n=1, cutoff=0.5)), "")


def did_you_mean(given: str, names: Iterable[str]) -> str:
    """Return a question with the nearest of `names`; empty if none is near."""
    near = nearest(given, names)
    return f"did you mean {near}?" if near else ""
