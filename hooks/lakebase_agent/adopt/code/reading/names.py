"""What the names in a module stand for."""

import ast
from collections.abc import Iterator, Mapping

Origins = Mapping[str, str]


def origins_of(tree: ast.AST) -> dict[str, str]:
    """Return what each imported name stands for, such as `langchain.agents.create_agent`."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            place = "." * node.level + (node.module or "")
            for alias in node.names:
                found[alias.asname or alias.name] = f"{place}.{alias.name}"
    return found


def origin_of(node: ast.AST, origins: Origins) -> str:
    """Return what an expression such as `agents.Runner.run` stands for; empty if unknown."""
    if isinstance(node, ast.Subscript):  # Agent[Context]
        return origin_of(node.value, origins)
    if isinstance(node, ast.Attribute):
        owner = origin_of(node.value, origins)
        return f"{owner}.{node.attr}" if owner else ""
    return origins.get(node.id, "") if isinstance(node, ast.Name) else ""


def own_name(node: ast.AST, origins: Origins) -> str:
    """Return the last part of a dotted name, as it is called where it is defined."""
    return origin_of(node, origins).rpartition(".")[2] or last_name(node)


def last_name(node: ast.AST) -> str:
    """Return the last part of a dotted name; empty if it has none."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def bound_names(tree: ast.AST) -> Iterator[str]:
    """Yield every name that a module assigns, defines or takes as a parameter, but not imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg


def loaded_names(tree: ast.AST) -> set[str]:
    """Return the names that are read below a node, also those in quoted annotations."""
    names = {
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    }
    texts = (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant))
    return names | {text for text in texts if isinstance(text, str) and text.isidentifier()}


def called(node: ast.AST) -> ast.AST:
    """Return an expression without the `await` around it."""
    return node.value if isinstance(node, ast.Await) else node
