"""The text of a module, and edits of it at the places of its nodes."""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

COMMENT = re.compile(rb"#[^\n]*")


class Edit(NamedTuple):
    """Text in place of the bytes from `start` to `end`; an insertion if these are the same."""

    start: int
    end: int
    text: str


class Code:
    """A module: its text with line feeds only, its tree, and where the nodes of the tree are."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.data = text.encode()
        self.tree = ast.parse(text)
        self.parents = {
            child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)
        }
        lines = self.data.splitlines(keepends=True)
        self._starts = [0, *accumulate(len(line) for line in lines)]

    def line(self, number: int) -> int:
        """Return where a line starts; they are counted from 1."""
        return self._starts[number - 1]

    def start(self, node: ast.AST) -> int:
        """Return where a node starts."""
        return self.line(node.lineno) + int(node.col_offset)  # type: ignore[attr-defined]

    def end(self, node: ast.AST) -> int:
        """Return where a node ends."""
        return self.line(node.end_lineno) + int(node.end_col_offset)  # type: ignore[attr-defined]

    def of(self, node: ast.AST) -> str:
        """Return the text of a node."""
        return self.data[self.start(node) : self.end(node)].decode()

    def indent(self, number: int) -> str:
        """Return the white space at the start of a line."""
        line = self.data[self.line(number) : self._starts[number]].decode()
        return line[: len(line) - len(line.lstrip(" \t"))]

    def wraps(self, node: ast.AST, opening: str, closing: str = ")") -> list[Edit]:
        """Return edits that put a node between two texts."""
        start, end = self.start(node), self.end(node)
        return [Edit(start, start, opening), Edit(end, end, closing)]

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield what a node is in, the nearest first."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def after_arguments(self, call: ast.Call) -> tuple[int, bool]:
        """Return where more arguments of a call go, and whether a comma is before that."""
        last = max([*call.args, *call.keywords], key=self.end)
        return self.after(last, self.end(call) - 1)

    def after(self, last: ast.AST, end: int) -> tuple[int, bool]:
        """Return where more goes after the last of a list that ends at a place, as above."""
        start = self.end(last)
        tail = COMMENT.sub(lambda found: b" " * len(found[0]), self.data[start:end])
        place = max(tail.rfind(b","), tail.rfind(b")"))
        return start + place + 1, b"," in tail

    def inside_strings(self) -> set[int]:
        """Return the numbers of the lines that start inside a string."""
        found: set[int] = set()
        opened: list[int] = []
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            kind = tokenize.tok_name[token.type]
            if kind == "STRING":
                found.update(range(token.start[0] + 1, token.end[0] + 1))
            elif kind in ("FSTRING_START", "TSTRING_START"):  # from Python 3.12 on
                opened.append(token.start[0])
            elif kind in ("FSTRING_END", "TSTRING_END"):
                found.update(range(opened.pop() + 1, token.end[0] + 1))
        return found

    def edited(self, edits: Iterable[Edit]) -> str:
        """Return the text with edits made; of two at one place, the first comes first."""
        data, ordered = self.data, list(enumerate(edits))
        for _, edit in sorted(ordered, key=lambda item: (item[1].start, item[0]), reverse=True):
            data = data[: edit.start] + edit.text.encode() + data[edit.end :]
        return data.decode()
