"""Merging a whole project from the old release, the owner's files and the new release."""

from collections.abc import Mapping

from lakebase_agent.merging.counterparts import Counterparts
from lakebase_agent.merging.definitions import Definitions
from lakebase_agent.merging.files import File
from lakebase_agent.merging.finishing import finish
from lakebase_agent.merging.imports.rewrite import rewrite
from lakebase_agent.merging.imports.sorting import keep_sorted
from lakebase_agent.merging.imports.symbols import Symbols
from lakebase_agent.merging.lines.merge import merge_texts
from lakebase_agent.merging.lines.patches import marked
from lakebase_agent.merging.lines.places import CODE, PROSE
from lakebase_agent.merging.merged import Merged, Moved, NotApplied
from lakebase_agent.merging.moves import Moves
from lakebase_agent.merging.python.source import split_lines
from lakebase_agent.merging.python.split import split_all
from lakebase_agent.merging.texts import BOM, as_before, most_similar, plain

MERGED = (".py", ".md")
Tree = Mapping[str, str]


def merge_trees(base: Tree, ours: Tree, theirs: Tree, moves: Moves) -> Merged:
    """Return the changes that bring the owner's files to the new release, with every edit kept.

    `base` is the old release as rendered, `theirs` the new one, `ours` the owner's whole project.
    Of the files in both releases, only those with a suffix in `MERGED` are merged; git merges the
    others.
    """
    return _Trees(base, ours, theirs, moves).merge()


def left_out(base: Tree, ours: Tree, theirs: Tree) -> list[NotApplied]:
    """Return the changes of a release without moves to files that the owner moved or deleted."""
    own = {path: plain(ours[path]) for path in ours.keys() - base.keys() - theirs.keys()}
    changed = [path for path, text in base.items() if theirs.get(path, text) != text]
    return [_not_applied(path, base[path], own) for path in changed if path not in ours]


def _not_applied(path: str, text: str, own: Tree) -> NotApplied:
    yours = most_similar(plain(text), path, own)
    return NotApplied(path, f"which changed; yours is {yours}" if yours else "which changed")


class _Trees:
    def __init__(self, base: Tree, ours: Tree, theirs: Tree, moves: Moves) -> None:
        self.base = {path: plain(text) for path, text in base.items()}
        self.theirs = {path: plain(text) for path, text in theirs.items()}
        self.ours, self.moves = ours, moves
        modules = split_all(self.base), split_all(self.theirs)
        self.counterparts = Counterparts(*modules, moves)
        self.symbols = Symbols(self.counterparts)
        self.own = {path.split("/")[0] for path in [*ours, *theirs] if path.endswith(".py")}
        self.definitions = Definitions(self.counterparts, self.symbols, self.own)
        self.merged = Merged()

    def merge(self) -> Merged:
        """Merge every file; returns the collected changes."""
        for path in self.base:
            if path in self.ours:
                self._merge_file(path)
            else:
                self._leave_out(path)
        for path, file in self.definitions.files.items():
            self._finish(path, file)
        for path in self.ours.keys() - self.base.keys():
            if path in self.theirs:
                self._clash(path)
            elif path.endswith(".py"):
                self._rewrite(path)
        self.merged.conflicts = sorted(set(self.merged.conflicts))
        self.merged.not_applied += self.definitions.not_applied
        return self.merged

    def homes(self, path: str) -> list[str]:
        """Return the files that a file became, the main one first."""
        if path in self.counterparts.base:
            return self.counterparts.homes(path)
        return self.counterparts.places(path) or self._texts(path)

    def _texts(self, path: str) -> list[str]:
        places = self.moves.targets(path) or (path,)
        return [place for place in places if place in self.theirs]

    def _merge_file(self, path: str) -> None:
        """Merge a file of the old release that the owner still has."""
        homes, ours = self.homes(path), plain(self.ours[path])
        edited = ours != self.base[path]
        if not homes:
            if edited:
                self.merged.dropped.append(path)
            return
        if path not in self.theirs:
            self.merged.moved.append(Moved(path, homes[0], edited))
            self.merged.deleted.append(path)
        if edited:
            self._merge_edits(path, ours, homes[0])

    def _merge_edits(self, path: str, ours: str, home: str) -> None:
        """Merge by definitions where both files are Python, otherwise line by line."""
        if path in self.counterparts.base and self.definitions.merge(path, ours, home):
            return
        if path in self.theirs and not path.endswith(MERGED):
            return  # git merges it
        language = PROSE if path.endswith(".md") else CODE
        result = merge_texts(self.base[path], ours, self.theirs[home], language)
        self._write(home, result.text, result.conflict, path)

    def _write(self, path: str, text: str, conflict: bool, old: str = "") -> None:
        """Add a merged file to the result, with the line endings of the owner's."""
        sources = [source.base.path for source in self.definitions.sources.get(path, [])]
        ours = next((self.ours[p] for p in (path, old, *sources) if p in self.ours), "")
        text = as_before(ours, text)
        if path in self.ours and path not in self.base and self.ours[path] != text:
            text = "".join(marked(split_lines(ours), split_lines(text)))
            conflict = True
        self.merged.files[path] = text
        if conflict:
            self.merged.conflicts.append(path)

    def _finish(self, path: str, file: File) -> None:
        missing = finish(file, self.definitions.sources.get(path, []), self.symbols)
        if missing:
            reason = f"your code uses {', '.join(missing)}, which the template no longer has"
            self.merged.not_applied.append(NotApplied(path, reason))
        text = file.text()
        if not file.conflict and not file.parses():
            [source, *_] = self.definitions.sources[path]
            text = "".join(marked([source.ours.text], [file.module.text]))
            file.conflict = True
        self._write(path, text, file.conflict or bool(missing))

    def _leave_out(self, path: str) -> None:
        """Delete the new files of an old one that the owner deleted or moved."""
        homes = self.homes(path)
        if not homes or self.theirs.get(path) == self.base[path]:
            return
        for home in homes:
            shared = [old for old in self.base if old in self.ours and home in self.homes(old)]
            if not shared and home not in self.ours:
                self.merged.deleted.append(home)
        self.merged.not_applied.append(_not_applied(path, self.base[path], self._own_texts()))

    def _own_texts(self) -> dict[str, str]:
        """Return the files that are in neither release."""
        own = self.ours.keys() - self.base.keys() - self.theirs.keys()
        return {path: plain(self.ours[path]) for path in own}

    def _clash(self, path: str) -> None:
        """Make a conflict of an owner's file and a new file at the same path."""
        if path not in self.merged.files and self.ours[path] != self.theirs[path]:
            self._write(path, self.theirs[path], conflict=True)

    def _rewrite(self, path: str) -> None:
        """Update the imports of a file that is in neither release."""
        text = self.ours[path]
        mark, rest = (BOM, text[1:]) if text.startswith(BOM) else ("", text)
        try:
            new = mark + keep_sorted(rest, rewrite(rest, path, self.symbols), self.own)
        except (SyntaxError, ValueError):
            reason = "it is not valid Python; the modules that it imports may have moved"
            self.merged.not_applied.append(NotApplied(path, reason))
            return
        for symbol in sorted(self.symbols.lost, key=str):
            reason = f"it imports {symbol.name} from {symbol.module}, which no longer has it"
            self.merged.not_applied.append(NotApplied(path, reason))
        self.symbols.lost.clear()
        if new != text:
            self.merged.files[path] = new
