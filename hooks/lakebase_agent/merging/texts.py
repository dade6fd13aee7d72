"""Texts of any language: their line ends, what was done to them, and which are alike."""

from collections.abc import Mapping
from difflib import SequenceMatcher, ndiff

from lakebase_agent.merging.python.source import split_lines

BOM = "\ufeff"
ALIKE = 0.6


def plain(text: str) -> str:
    """Return a text with line feeds alone, and without a mark of its byte order."""
    return text.removeprefix(BOM).replace("\r\n", "\n")


def as_before(ours: str, text: str) -> str:
    """Return a text with the line ends, and the mark, that the owner's file has."""
    mark = BOM if ours.startswith(BOM) else ""
    return mark + (text.replace("\n", "\r\n") if "\r\n" in ours else text)


def edit_of(old: str, new: str) -> str:
    """Return the lines that were added or removed, in one line."""
    lines = ndiff(split_lines(old), split_lines(new))
    changed = [" ".join(line.split()) for line in lines if line.startswith(("+ ", "- "))]
    return " ".join(changed)[:200]


def most_similar(text: str, path: str, others: Mapping[str, str]) -> str:
    """Return which of `others` a file became; empty if none is like it."""
    lines, suffix, found = split_lines(text), path.rpartition(".")[2], {}
    for other, content in others.items():
        if other.endswith(f".{suffix}") and text.strip():
            matcher = SequenceMatcher(None, lines, split_lines(content))
            if matcher.quick_ratio() > ALIKE:
                found[other] = matcher.ratio()
    best = max(found, key=lambda other: found[other], default="")
    return best if best and found[best] > ALIKE else ""
