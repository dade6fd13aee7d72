"""The names in a module: which it uses, which it binds, and renaming them."""

import ast
import builtins
import io
import tokenize
from collections.abc import Mapping
from textwrap import dedent

from lakebase_agent.merging.python.source import split_lines

KNOWN = {*dir(builtins), "__file__", "__name__", "__doc__", "__path__", "__spec__", "__package__"}


def rename(text: str, names: Mapping[str, str], anything: Mapping[str, str]) -> str:
    """Return valid Python with the variables in `names`, and any name in `anything`, renamed."""
    if not names and not anything:
        return text
    lines = split_lines(text)
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    for place, token in reversed(list(enumerate(tokens))):
        if token.type != tokenize.NAME:
            continue
        new = anything.get(token.string)
        if new is None and not _is_attribute(tokens, place):
            new = names.get(token.string)
        if new is not None:
            row, (start, end) = token.start[0] - 1, (token.start[1], token.end[1])
            lines[row] = lines[row][:start] + new + lines[row][end:]
    return "".join(lines)


def _is_attribute(tokens: list[tokenize.TokenInfo], place: int) -> bool:
    """Return whether a name is an attribute, or a keyword argument in a call."""
    before, after = tokens[place - 1].string if place else "", tokens[place + 1]
    # Formatters put no spaces around the `=` of an argument.
    argument = after.string == "=" and after.start == tokens[place].end
    return before == "." or argument


def unbound(text: str) -> set[str]:
    """Return the names that a module uses and does not bind; none if it does not parse."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return set()
    return used(tree) - bound(tree) - KNOWN


def bound_in(text: str) -> set[str]:
    """Return the names that are bound inside a definition; none if it does not parse."""
    try:
        tree = ast.parse(dedent(text))
    except (SyntaxError, ValueError):
        return set()
    inner = [child for node in tree.body for child in ast.iter_child_nodes(node)]
    return {name for node in inner for name in bound(node)}


def words(piece: str) -> set[str]:
    """Return the names in a piece that are not attributes."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(piece.strip()).readline))
    except (tokenize.TokenError, SyntaxError):
        return set()
    names = [n for n, token in enumerate(tokens) if token.type == tokenize.NAME]
    return {tokens[n].string for n in names if not _is_attribute(tokens, n)}


def used_in(text: str) -> set[str]:
    """Return the names that a module reads; none if it does not parse."""
    try:
        return used(ast.parse(text))
    except (SyntaxError, ValueError):
        return set()


def used(tree: ast.AST) -> set[str]:
    """Return the names that are read."""
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return {node.id for node in names if not isinstance(node.ctx, ast.Store)}


def bound(tree: ast.AST) -> set[str]:
    """Return the names that are bound, in any scope."""
    found: set[str] = set()
    for node in ast.walk(tree):
        found.update(_bound_by(node))
    return found


def _bound_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name):
        return [] if isinstance(node.ctx, ast.Load) else [node.id]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    if isinstance(node, ast.arg):
        return [node.arg]
    name = getattr(node, "rest", None) or getattr(node, "name", None)
    return [name] if isinstance(name, str) else []
