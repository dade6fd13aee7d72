"""Patches to a list of pieces, and the conflicts among them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lakebase_agent.merging.lines.pieces import Pieces

BEFORE, BETWEEN, AFTER = "<<<<<<< before updating\n", "=======\n", ">>>>>>> after updating\n"


@dataclass
class Patch:
    """Replaces pieces[start:end] by `new`, or by a conflict if there is one."""

    start: int
    end: int
    new: list[str]
    conflict: list[str] = field(default_factory=list)

    def overlaps(self, other: "Patch") -> bool:
        """Return whether both replace some of the same pieces."""
        return self.start < other.end and other.start < self.end


def patched(pieces: Pieces, patches: Iterable[Patch], shown: bool) -> Iterator[str]:
    """Yield pieces with patches applied; without `shown`, those in a conflict stay as they are."""
    place = 0
    for patch in sorted(patches, key=lambda patch: (patch.start, patch.end)):
        yield from pieces[place : patch.start]
        place = max(place, patch.end)
        if not patch.conflict:
            yield from patch.new
        elif shown:
            yield from patch.conflict
        else:
            yield from pieces[patch.start : patch.end]
    yield from pieces[place:]


def marked(ours: Pieces, theirs: Pieces) -> list[str]:
    """Return a conflict as git writes it."""
    return [BEFORE, *_ended(ours), BETWEEN, *_ended(theirs), AFTER]


def _ended(pieces: Pieces) -> list[str]:
    return [piece if piece.endswith("\n") else f"{piece}\n" for piece in pieces]
