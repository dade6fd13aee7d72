"""Matching the pieces of two texts, and finding what changed between them."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import pairwise

from lakebase_agent.merging.python.source import is_comment

ALIKE = 0.6
DEFINITION = re.compile(r"\s*(async\s+def|def|class)\b")
STRING = re.compile(r"\s*[rRbBuUfF]{0,2}(\"|')")
Pieces = Sequence[str]


@dataclass(frozen=True)
class Pairs:
    """Where the pieces of a base are in another text.

    `same` are equal and in order, `moved` are equal but out of order, `alike` are only similar.
    """

    same: dict[int, int] = field(default_factory=dict)
    moved: dict[int, int] = field(default_factory=dict)
    alike: dict[int, int] = field(default_factory=dict)

    def equal(self, place: int) -> int | None:
        """Return the place of the equal piece, if there is one."""
        return self.same.get(place, self.moved.get(place))

    def any(self, place: int) -> int | None:
        """Return the place of the equal or similar piece, if there is one."""
        found = self.equal(place)
        return self.alike.get(place) if found is None else found


@dataclass(frozen=True)
class Hunk:
    """An owner's replacement for base[start:end]; an insertion if that is empty."""

    start: int
    end: int
    new: tuple[str, ...]


def normal(piece: str) -> str:
    """Return a piece without the differences that a formatter makes."""
    text = " ".join(piece.split())
    text = re.sub(r"\s*([()\[\]{}])\s*", r"\1", text)
    return re.sub(r",([)\]}])", r"\1", text)


def similarity(one: str, other: str) -> float:
    """Return how similar two texts are, from 0 to 1; exact only for similar ones."""
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return matcher.ratio() if matcher.quick_ratio() >= ALIKE / 2 else 0.0


def pair(base: Pieces, other: Pieces) -> Pairs:
    """Return where each piece of `base` is in `other`."""
    old, new = [normal(piece) for piece in base], [normal(piece) for piece in other]
    pairs = Pairs()
    for forced in _forced(base, other):
        same = old[forced[0]] == new[forced[1]]
        (pairs.same if same else pairs.alike)[forced[0]] = forced[1]
    taken = set(pairs.alike.values())
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for block in matcher.get_matching_blocks():
        for step in range(block.size):
            if block.a + step not in pairs.alike and block.b + step not in taken:
                pairs.same[block.a + step] = block.b + step
    _find_moved(pairs, old, new)
    _find_alike(pairs, old, new)
    return pairs


def _forced(base: Pieces, other: Pieces) -> list[tuple[int, int]]:
    """Pair what a unit has only one of: its `def` or `class`, and its docstring."""
    heads = [_index(DEFINITION, pieces, 0) for pieces in (base, other)]
    found = [(heads[0], heads[1])] if heads[0] >= 0 and heads[1] >= 0 else []
    strings = [_string_after(head, p) for head, p in zip(heads, (base, other), strict=True)]
    if strings[0] >= 0 and strings[1] >= 0:
        found.append((strings[0], strings[1]))
    return found


def _index(pattern: re.Pattern[str], pieces: Pieces, start: int) -> int:
    places = (n for n, piece in enumerate(pieces) if n >= start and pattern.match(piece))
    return next(places, -1)


def _string_after(head: int, pieces: Pieces) -> int:
    """Return where the docstring is: the first statement, when it is a string."""
    for place in range(head + 1, len(pieces)):
        if pieces[place].strip() and not is_comment(pieces[place]):
            return place if STRING.match(pieces[place]) else -1
    return -1


def _find_moved(pairs: Pairs, old: Pieces, new: Pieces) -> None:
    """Pair equal pieces that changed places, if they are too long and rare to match by chance."""
    free = _unpaired(new, {*pairs.same.values(), *pairs.alike.values()})
    counts = Counter(new[place] for place in free)
    where = {new[place]: place for place in free}
    for place in _unpaired(old, {*pairs.same, *pairs.alike}):
        text = old[place]
        if len(text) > 8 and counts[text] == 1 and old.count(text) == 1:
            pairs.moved[place] = where[text]


def _unpaired(pieces: Pieces, paired: set[int]) -> list[int]:
    return [place for place in range(len(pieces)) if place not in paired]


def _find_alike(pairs: Pairs, old: Pieces, new: Pieces) -> None:
    """Pair similar pieces that are between the same two pairs."""
    anchors = sorted({**pairs.same, **pairs.alike}.items())
    edges = [(-1, -1), *anchors, (len(old), len(new))]
    taken = {*pairs.moved.values()}
    for (a, b), (c, d) in pairwise(edges):
        start = b + 1
        for place in range(a + 1, c):
            if old[place] and place not in pairs.moved:
                options = [n for n in range(start, d) if n not in taken and new[n]]
                best = max(options, key=lambda n: similarity(old[place], new[n]), default=None)
                if best is not None and similarity(old[place], new[best]) >= ALIKE:
                    pairs.alike[place] = best
                    start = best + 1


def hunks(base: Pieces, ours: Pieces) -> list[Hunk]:
    """Return the owner's changes, in hunks as small as possible."""
    found: list[Hunk] = []
    matcher = SequenceMatcher(None, base, ours, autojunk=False)
    for kind, start, end, first, last in matcher.get_opcodes():
        if kind != "equal":
            found += _refine(base, start, end, tuple(ours[first:last]))
    return found


def _refine(base: Pieces, start: int, end: int, new: tuple[str, ...]) -> list[Hunk]:
    """Split a replacement at pieces that are similar on both sides."""
    found, rest, place = [], list(new), start
    for old in range(start, end):
        best = max(range(len(rest)), key=lambda n: similarity(base[old], rest[n]), default=None)
        if best is None or similarity(base[old], rest[best]) < ALIKE or not base[old].strip():
            continue
        if old > place or best:
            found.append(Hunk(place, old, tuple(rest[:best])))
        if rest[best] != base[old]:
            found.append(Hunk(old, old + 1, (rest[best],)))
        rest, place = rest[best + 1 :], old + 1
    if place < end or rest:
        found.append(Hunk(place, end, tuple(rest)))
    return found
