"""Finding where an owner's insertion into an old text belongs in a new one."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lakebase_agent.merging.lines.pieces import DEFINITION, Hunk, Pairs, Pieces
from lakebase_agent.merging.python.source import indent_of, is_comment, split_lines

PYTHON, CODE, PROSE = "Python", "code", "prose"
Find = Callable[[int], int | None]


@dataclass(frozen=True)
class Place:
    """The piece of theirs to insert before, and how far to indent the insertion."""

    before: int
    shift: int = 0

    def shifted(self, pieces: Pieces) -> list[str]:
        """Return pieces with the indentation they need here."""
        return [shift(piece, self.shift) for piece in pieces]


def shift(piece: str, width: int) -> str:
    """Return a piece indented by `width` more; if negative, by as much less as possible."""
    if width >= 0:
        lines = [" " * width + line if line.strip() else line for line in split_lines(piece)]
    else:
        lines = [re.sub(rf"^ {{0,{-width}}}", "", line) for line in split_lines(piece)]
    return "".join(lines)


def places(
    base: Pieces, theirs: Pieces, pairs: Pairs, hunk: Hunk, language: str
) -> Iterator[Place]:
    """Yield places for an insertion, the best first.

    In code of unknown languages, only those next to a neighbour that did not change.
    """
    finder = _Finder(base, theirs, pairs, hunk)
    if language == PYTHON:
        yield from finder.in_python()
    elif language == PROSE:
        yield from finder.in_prose()
    else:
        yield from finder.in_code()


class _Finder:
    def __init__(self, base: Pieces, theirs: Pieces, pairs: Pairs, hunk: Hunk) -> None:
        self.base, self.theirs, self.pairs, self.hunk = base, theirs, pairs, hunk
        written = [piece for piece in hunk.new if piece.strip()]
        self.indent = indent_of(written[0]) if written else 0
        heads = [n for n, piece in enumerate(theirs) if DEFINITION.match(piece)]
        self.head = heads[0] if heads else -1
        self.before = self._nearest(hunk.start - 1, -1)
        self.after = self._nearest(hunk.end, 1)

    def in_python(self) -> Iterator[Place]:
        """Yield places in a definition, with the indentation that fits there."""
        yield from self._next_to(self.pairs.equal)
        yield from self._next_to(self.pairs.any)
        for place in self._next_to(self.pairs.any):
            yield Place(place.before, self._fitting(place.before) - self.indent)
        yield from self._far()

    def in_prose(self) -> Iterator[Place]:
        """Yield places anywhere in a text; what was inserted at its end stays there."""
        yield from self._unshifted(self._next_to(self.pairs.equal))
        if self.after is None:
            yield Place(len(self.theirs))
        yield from self._unshifted(self._far())

    def in_code(self) -> Iterator[Place]:
        """Yield only the places next to an equal neighbour, or the start of an empty text."""
        yield from self._unshifted(self._next_to(self.pairs.equal))
        if self.before is None and not self.theirs:
            yield Place(0)

    def _unshifted(self, places: Iterator[Place]) -> Iterator[Place]:
        return (Place(place.before) for place in places)

    def _nearest(self, place: int, step: int) -> int | None:
        """Return the place of the nearest piece of base that is not blank."""
        while 0 <= place < len(self.base):
            if self.base[place].strip():
                return place
            place += step
        return None

    def _next_to(self, find: Find) -> Iterator[Place]:
        """Yield the place after the neighbour before, then the one before the neighbour after."""
        if self.before is not None and (found := find(self.before)) is not None:
            yield self._place_after(self.before, found)
        if self.after is not None and (found := find(self.after)) is not None:
            yield self._place(found, self.after, found)

    def _far(self) -> Iterator[Place]:
        """Yield the places next to ever more distant pieces, then the end of the definition."""
        for distance in range(1, len(self.base) + 1):
            behind, ahead = self.hunk.start - 1 - distance, self.hunk.end + distance
            if behind >= 0 and (found := self.pairs.any(behind)) is not None:
                yield self._indented(self._place_after(behind, found).before)
            if ahead < len(self.base) and (found := self.pairs.any(ahead)) is not None:
                yield self._indented(found)
        yield self._indented(len(self.theirs))

    def _place_after(self, old: int, new: int) -> Place:
        """Return the place after theirs[new], or after its block if the insertion followed one."""
        before = new + 1
        if self.indent < indent_of(self.base[old]):
            width = self.indent + indent_of(self.theirs[new]) - indent_of(self.base[old])
            while before < len(self.theirs) and self._deeper(before, width):
                before += 1
        return self._place(before, old, new)

    def _deeper(self, place: int, width: int) -> bool:
        piece = self.theirs[place]
        return not piece.strip() or indent_of(piece) > width

    def _place(self, before: int, old: int, new: int) -> Place:
        width = indent_of(self.theirs[new]) - indent_of(self.base[old])
        return Place(before, max(width, self._least(before) - self.indent))

    def _indented(self, before: int) -> Place:
        """Return a place inside the definition, after its docstring."""
        before = max(before, self._body())
        return Place(before, self._fitting(before) - self.indent)

    def _body(self) -> int:
        """Return where the body of a definition starts."""
        place = self.head + 1
        if self.head >= 0:
            while place < len(self.theirs) and self.theirs[place].lstrip()[:1] in ('"', "'"):
                place += 1
        return place if self.head >= 0 else 0

    def _least(self, before: int) -> int:
        """Return the least indentation at a place: inside a definition, four more than its own."""
        return indent_of(self.theirs[self.head]) + 4 if 0 <= self.head < before else 0

    def _fitting(self, before: int) -> int:
        """Return the indentation of the code at a place."""
        least = self._least(before)
        for piece in self.theirs[before:]:
            if piece.strip() and not is_comment(piece):
                return max(indent_of(piece), least)
        return max((indent_of(p) for p in self.theirs[-1:] if p.strip()), default=least) or least
