"""The imports of a module, merged as a set and kept in isort's order."""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lakebase_agent.merging.imports.positions import statement
from lakebase_agent.merging.lines.merge import merge
from lakebase_agent.merging.lines.pieces import Hunk, Pieces, hunks
from lakebase_agent.merging.python.source import is_comment


@dataclass(frozen=True)
class Import:
    """One imported name; `name` is empty for `import module`."""

    module: str
    name: str = ""
    alias: str = ""

    @property
    def local(self) -> str:
        """Its name in the importing module."""
        return self.alias or self.name or self.module.split(".")[0]

    def __str__(self) -> str:
        name = self.name or self.module
        return f"{name} as {self.alias}" if self.alias else name


def read_imports(piece: str) -> list[Import]:
    """Return what an import statement imports; nothing if a piece is something else."""
    try:
        [node] = ast.parse(piece).body
    except (SyntaxError, ValueError):
        return []
    if isinstance(node, ast.Import):
        return [Import(alias.name, "", alias.asname or "") for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        return [Import(module, alias.name, alias.asname or "") for alias in node.names]
    return []


def imports_in(pieces: Pieces) -> set[Import]:
    """Return everything that pieces import."""
    return {found for piece in pieces for found in read_imports(piece)}


def merge_comments(base: Pieces, ours: Pieces, theirs: Pieces) -> list[str]:
    """Return `theirs` with the comments that the owner wrote among the imports."""
    commented: list[str] = []
    place = 0
    for hunk in hunks(base, ours):
        commented += base[place : hunk.start]
        commented += _comments(base, hunk)
        place = hunk.end
    merged = merge(base, [*commented, *base[place:]], theirs)
    return list(theirs) if merged.conflict else merged.pieces


def _comments(base: Pieces, hunk: Hunk) -> list[str]:
    """Return the base of a hunk, with the comments that the owner added to it."""
    old = list(base[hunk.start : hunk.end])
    if len(old) == len(hunk.new) == 1 and read_imports(old[0]) == read_imports(hunk.new[0]):
        return list(hunk.new)
    return [piece for piece in hunk.new if is_comment(piece) and piece not in old] + old


def add_imports(pieces: Pieces, added: Sequence[Import], own: set[str]) -> list[str]:
    """Return an import block with `added` in it; `own` are the packages of the project."""
    block = list(pieces)
    for new in added:
        known = imports_in(block)
        if new in known:
            continue
        place = _statement_of(block, new)
        if place is None:
            _insert(block, new, own)
        else:
            block[place] = _extended(block[place], new)
    return block


def remove_imports(pieces: Pieces, removed: set[Import]) -> list[str]:
    """Return an import block without some imports."""
    block = []
    for piece in pieces:
        found = read_imports(piece)
        kept = [item for item in found if item not in removed]
        if kept == found:
            block.append(piece)
        elif kept:
            names = [str(item) for item in kept]
            text = f"import {', '.join(names)}" if not kept[0].name else None
            block.append((text or statement(kept[0].module, names)) + "\n")
    return block


def joined(pieces: Pieces) -> str:
    """Return one statement for several that import from the same module."""
    names = sorted({item for piece in pieces for item in read_imports(piece)}, key=_name_key)
    if not names[0].name:
        return pieces[0]
    return statement(names[0].module, [str(name) for name in names]) + "\n"


def _statement_of(block: Pieces, new: Import) -> int | None:
    """Return the place of a `from` statement that a name can be added to."""
    for place, piece in enumerate(block):
        found = read_imports(piece)
        joins = found and found[0].module == new.module and found[0].name not in ("", "*")
        if joins and new.name not in ("", "*"):
            return place
    return None


def _extended(piece: str, new: Import) -> str:
    lines = piece.rstrip("\n").split("\n")
    if "#" in piece and len(lines) > 1:  # each name keeps its comment
        return "\n".join([*lines[:-1], f"    {new},", lines[-1]]) + "\n"
    names = sorted([*read_imports(piece), new], key=_name_key)
    comment = re.search(r"\s*#.*$", lines[0])
    text = statement(new.module, [str(name) for name in names])
    return text + (comment[0] if comment else "") + "\n"


def _insert(block: list[str], new: Import, own: set[str]) -> None:
    """Insert a statement where isort would have it, with a blank line around a new section."""
    text = _written(new)
    key = import_key(new, own)
    known = [(place, import_key(found[0], own)) for place, found in _statements(block)]
    before = [place for place, other in known if other <= key]
    section = [place for place, other in known if other[0] == key[0]]
    if not before:
        _insert_first(block, text, has_section=bool(section))
    elif not section:
        block[before[-1] + 1 : before[-1] + 1] = ["\n", text]
    elif section[0] > before[-1]:
        block.insert(_above_comments(block, section[0]), text)
    else:
        block.insert(before[-1] + 1, text)


def _insert_first(block: list[str], text: str, has_section: bool) -> None:
    """Insert a statement above all others."""
    first = next((place for place, _ in _statements(block)), None)
    if first is None:
        block.append(text)
        return
    place = _above_comments(block, first)
    block[place:place] = [text] if has_section else [text, "\n"]


def _written(item: Import) -> str:
    """Return a statement of its own for an import."""
    return (statement(item.module, [str(item)]) if item.name else f"import {item}") + "\n"


def _statements(block: Pieces) -> Iterator[tuple[int, list[Import]]]:
    for place, piece in enumerate(block):
        if found := read_imports(piece):
            yield place, found


def _above_comments(block: Pieces, place: int) -> int:
    while place and is_comment(block[place - 1]):
        place -= 1
    return place


def import_key(item: Import, own: set[str]) -> tuple[int, int, str]:
    """Return where isort puts a statement: its section, `import` first, by its module."""
    top = item.module.split(".")[0]
    if item.module == "__future__":
        section = 0
    elif not top:
        section = 4
    elif top in sys.stdlib_module_names:
        section = 1
    else:
        section = 3 if top in own else 2
    return section, bool(item.name), item.module.lower()


def _name_key(item: Import) -> tuple[int, str]:
    """Return where isort puts a name: constants first, then classes, then the rest."""
    if item.name.isupper() and len(item.name) > 1:
        return 0, item.name
    return (1 if item.name[:1].isupper() else 2), item.name
