"""Texts in any language: their line endings, edits and similarity."""

from collections.abc import Mapping
from difflib import SequenceMatcher, ndiff

from lakebase_agent.merging.python.source import split_lines

BOM = "\ufeff"
SIMILAR = 0.6


def plain(text: str) -> str:
    """Return a text with line feeds only, and without a byte order mark."""
    return text.removeprefix(BOM).replace("\r\n", "\n")


def as_before(ours: str, text: str) -> str:
    """Return a text with the line endings and the byte order mark of the owner's file."""
    mark = BOM if ours.startswith(BOM) else ""
    return mark + (text.replace("\n", "\r\n") if "\r\n" in ours else text)


def edit_of(old: str, new: str) -> str:
    """Return the added and removed lines, as one line of at most 200 characters."""
    lines = ndiff(split_lines(old), split_lines(new))
    changed = [" ".join(line.split()) for line in lines if line.startswith(("+ ", "- "))]
    return " ".join(changed)[:200]


def most_similar(text: str, path: str, others: Mapping[str, str]) -> str:
    """Return the path in `others` that a file most likely became; empty if none is similar."""
    lines, suffix, found = split_lines(text), path.rpartition(".")[2], {}
    for other, content in others.items():
        if other.endswith(f".{suffix}") and text.strip():
            matcher = SequenceMatcher(None, lines, split_lines(content))
            if matcher.quick_ratio() > SIMILAR:
                found[other] = matcher.ratio()
    best = max(found, key=lambda other: found[other], default="")
    return best if best and found[best] > SIMILAR else ""
