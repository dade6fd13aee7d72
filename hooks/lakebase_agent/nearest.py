"""Which name was meant, when one was given that does not exist."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(given: str, names: Iterable[str]) -> str:
    """Return a question with the nearest of `names`; empty if none is near."""
    near = get_close_matches(given, list(names), n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else ""
