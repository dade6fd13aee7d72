"""A three-way merge of pieces, with conflicts only where both sides changed the same ones.

Where a line-by-line merge gives up, an insertion still finds its place: after the piece it
followed, before the one it preceded, or as near to them as possible.
"""

from dataclasses import dataclass

from lakebase_agent.merging.lines.checks import added_comments, parses, unknown
from lakebase_agent.merging.lines.patches import AFTER, BEFORE, Patch, marked, patched
from lakebase_agent.merging.lines.pieces import Hunk, Pairs, Pieces, hunks, normal, pair
from lakebase_agent.merging.lines.places import CODE, PYTHON, places
from lakebase_agent.merging.python.source import is_comment, split_lines


@dataclass(frozen=True)
class Result:
    """Merged pieces, and whether conflict markers are among them."""

    pieces: list[str]
    conflict: bool = False

    @property
    def text(self) -> str:
        """The merged text."""
        return "".join(self.pieces)


def merge_texts(base: str, ours: str, theirs: str, language: str = CODE) -> Result:
    """Merge texts of any language, line by line."""
    return merge(split_lines(base), split_lines(ours), split_lines(theirs), language)


def merge(base: Pieces, ours: Pieces, theirs: Pieces, language: str = PYTHON) -> Result:
    """Return `theirs` with the owner's changes from `base` to `ours`.

    Python that is merged still parses and uses no local name that is gone; the rest is a conflict.
    In other code, an insertion stays next to a line that it was next to; in prose it may end up
    further away.
    """
    if list(ours) == list(base) or list(ours) == list(theirs):
        return Result(list(theirs))
    if [normal(p) for p in base] == [normal(p) for p in theirs]:
        return Result(list(ours))
    merger = _Merger(list(base), list(ours), list(theirs), language)
    for hunk in merger.hunks:
        merger.apply(hunk)
    return merger.result()


class _Merger:
    def __init__(self, base: list[str], ours: list[str], theirs: list[str], language: str) -> None:
        self.base, self.ours, self.theirs, self.language = base, ours, theirs, language
        self.pairs: Pairs = pair(base, theirs)
        self.hunks: list[Hunk] = hunks(base, ours)
        self.patches: list[Patch] = []
        self.covered = -1  # the end of the last conflict, in base
        self.checked = language == PYTHON and not any(piece in (BEFORE, AFTER) for piece in theirs)
        self.checked = self.checked and parses(theirs) and parses(ours)

    def apply(self, hunk: Hunk) -> None:
        """Apply the owner's change to theirs, or mark a conflict."""
        if hunk.start < self.covered:
            return  # it is part of a conflict already
        done = self._replace(hunk) if hunk.end > hunk.start else self._insert(hunk)
        if not done:
            self._conflict(hunk)

    def result(self) -> Result:
        """Return the merged pieces, conflicts included."""
        merged = patched(self.theirs, self.patches, shown=True)
        return Result(list(merged), any(patch.conflict for patch in self.patches))

    def _replace(self, hunk: Hunk) -> bool:
        if not _has_text(self.base[hunk.start : hunk.end]):
            return not _has_text(hunk.new) or self._insert(hunk)
        if self._is_gone(hunk):
            return not hunk.new  # both deleted it
        if block := self._find_block(hunk):
            return self._try(Patch(*block, list(hunk.new)), hunk)
        return hunk.end == hunk.start + 1 and len(hunk.new) == 1 and self._merge_inside(hunk)

    def _is_gone(self, hunk: Hunk) -> bool:
        """Return whether theirs has none of the pieces of a hunk, and none like them."""
        return all(self.pairs.any(place) is None for place in range(hunk.start, hunk.end))

    def _find_block(self, hunk: Hunk) -> tuple[int, int] | None:
        """Return where all pieces of a hunk are in theirs, if they still follow each other."""
        start, end = hunk.start, hunk.end
        places = [self.pairs.equal(n) for n in range(start, end) if self.base[n].strip()]
        found = [place for place in places if place is not None]
        if len(found) < len(places) or found != list(range(found[0], found[0] + len(found))):
            return None
        return found[0], found[-1] + 1

    def _merge_inside(self, hunk: Hunk) -> bool:
        """Merge the lines of one statement that both changed."""
        place, old, new = self.pairs.any(hunk.start), self.base[hunk.start], hunk.new[0]
        if place is None:
            return False
        if normal(self.theirs[place]) == normal(new):
            return True
        if self.language != PYTHON or max(old.count("\n"), new.count("\n")) < 2:
            return False
        inside = merge_texts(old, new, self.theirs[place])
        if not inside.conflict:
            return self._try(Patch(place, place + 1, [inside.text]), hunk)
        added = added_comments(old, new)
        return bool(added) and self._try(Patch(place, place, added), hunk)

    def _insert(self, hunk: Hunk) -> bool:
        new = [normal(piece) for piece in hunk.new]
        for place in places(self.base, self.theirs, self.pairs, hunk, self.language):
            around = self.theirs[max(0, place.before - len(new)) : place.before + len(new)]
            if "".join(new) and _within(new, [normal(piece) for piece in around]):
                return True  # the template has added it too
            if self._try(Patch(place.before, place.before, place.shifted(hunk.new)), hunk):
                return True
        return False

    def _try(self, patch: Patch, hunk: Hunk) -> bool:
        """Add a patch if the result still makes sense."""
        if any(patch.overlaps(other) for other in self.patches):
            return False
        self.patches.append(patch)
        if not self.checked or self._makes_sense(hunk):
            return True
        self.patches.pop()
        return False

    def _makes_sense(self, hunk: Hunk) -> bool:
        """Return whether the result parses, and defines the local names that the hunk uses."""
        new = [piece for piece in hunk.new if piece.strip() and not is_comment(piece)]
        if not new and hunk.start == hunk.end:
            return True  # only comments were inserted
        merged = list(patched(self.theirs, self.patches, shown=False))
        return parses(merged) and not unknown(new, self.ours, merged)

    def _conflict(self, hunk: Hunk) -> None:
        """Mark everything between the nearest unchanged pieces as a conflict."""
        start, end = self._stable(hunk.start - 1, -1), self._stable(hunk.end, 1)
        self.covered = end
        first = self.pairs.same.get(start, -1) + 1
        last = self.pairs.same.get(end, len(self.theirs))
        self.patches = [p for p in self.patches if p.end < first or p.start > last]
        ours = self.ours[self._in_ours(start, 0) : self._in_ours(end, len(self.ours))]
        theirs = self.theirs[first:last]
        self.patches.append(Patch(first, last, theirs, marked(ours, theirs)))

    def _stable(self, place: int, step: int) -> int:
        """Return the nearest piece that is the same in all three texts."""
        touched = {n for hunk in self.hunks for n in range(hunk.start, hunk.end)}
        while 0 <= place < len(self.base):
            if place in self.pairs.same and place not in touched and self.base[place].strip():
                break
            place += step
        return place

    def _in_ours(self, place: int, default: int) -> int:
        """Return the end of a conflict in ours, or its start if `default` is 0."""
        if not 0 <= place < len(self.base):
            return default
        shift = sum(len(h.new) - (h.end - h.start) for h in self.hunks if h.end <= place)
        return place + shift + (1 if default == 0 else 0)


def _has_text(pieces: Pieces) -> bool:
    return any(piece.strip() for piece in pieces)


def _within(some: list[str], all_: list[str]) -> bool:
    return any(all_[n : n + len(some)] == some for n in range(len(all_)))
