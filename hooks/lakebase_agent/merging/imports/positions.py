"""Where the nodes of a syntax tree are in its text, and how an import is formatted."""

import ast

from lakebase_agent.merging.python.source import split_lines

WIDTH = 100


class Positions:
    """The positions of nodes, as indices into the text."""

    def __init__(self, text: str) -> None:
        self.lines = split_lines(text)
        self.offsets = [0]
        for line in self.lines:
            self.offsets.append(self.offsets[-1] + len(line))

    def span(self, node: ast.stmt | ast.expr) -> tuple[int, int]:
        """Return where a node starts and ends."""
        assert node.end_lineno is not None and node.end_col_offset is not None
        return (
            self._offset(node.lineno, node.col_offset),
            self._offset(node.end_lineno, node.end_col_offset),
        )

    def before(self, node: ast.stmt) -> str:
        """Return the text before a node on its line."""
        return self.lines[node.lineno - 1][: self.span(node)[0] - self.offsets[node.lineno - 1]]

    def _offset(self, line: int, column: int) -> int:
        """Return the position of a column, which Python counts in bytes."""
        start = self.lines[line - 1].encode("utf-8", "surrogateescape")[:column]
        return self.offsets[line - 1] + len(start.decode("utf-8", "surrogateescape"))


def statement(module: str, names: list[str], width: int = WIDTH) -> str:
    """Return a `from` import, on several lines if one would be longer than `width`."""
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= width:
        return line
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in names), ")"])


def dotted_name(node: ast.expr) -> str:
    """Return `a.b.c` as it is written; empty for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (start := dotted_name(node.value)):
        return f"{start}.{node.attr}"
    return ""
