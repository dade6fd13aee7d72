"""The imports of a module whose code was edited: what comes, and what is needed no more."""

import ast
from collections.abc import Mapping

from lakebase_agent.adopt.code.reading.names import bound_names, loaded_names, origins_of
from lakebase_agent.adopt.code.reading.text import Code, Edit

# A module by what is imported from it, such as "open_turn" or "memory_tools as my_tools".
Wanted = Mapping[str, str]


def taken_names(code: Code, wanted: Wanted) -> list[str]:
    """Return the names to import that mean something else in a module already."""
    origins, bound = origins_of(code.tree), set(bound_names(code.tree))
    return sorted(
        local
        for item, module in wanted.items()
        if (local := _local(item)) in bound
        or origins.get(local, _origin(item, module)) != _origin(item, module)
    )


def _local(item: str) -> str:
    return item.rpartition(" as ")[2]


def _origin(item: str, module: str) -> str:
    return f"{module}.{item.partition(' as ')[0]}"


def with_imports(text: str, wanted: Wanted) -> str:
    """Return a module that imports all that is wanted."""
    for module in sorted(set(wanted.values())):
        text = _with_import(text, module, sorted(i for i, m in wanted.items() if m == module))
    return text


def _with_import(text: str, module: str, items: list[str]) -> str:
    code = Code(text)
    origins = origins_of(code.tree)
    missing = [item for item in items if origins.get(_local(item)) != _origin(item, module)]
    if not missing:
        return text
    top = [node for node in code.tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in top:
        same = isinstance(node, ast.ImportFrom) and node.module == module and not node.level
        if same and node.lineno == node.end_lineno:
            assert isinstance(node, ast.ImportFrom)
            return code.edited([_extended(code, node, missing)])
    line = _place(code, top, module)
    start = len(code.data) if line > code.text.count("\n") else code.line(line)
    return code.edited([Edit(start, start, f"from {module} import {', '.join(missing)}\n")])


def _extended(code: Code, node: ast.ImportFrom, names: list[str]) -> Edit:
    aliases = [ast.unparse(alias) for alias in node.names] + names
    listed = ", ".join(sorted(aliases, key=str.lower))
    return Edit(code.start(node), code.end(node), f"from {node.module} import {listed}")


def _place(code: Code, top: list[ast.Import | ast.ImportFrom], module: str) -> int:
    """Return the number of the line before which an import of a module goes."""
    own = [node for node in top if isinstance(node, ast.ImportFrom) and _is_kin(node, module)]
    later = [node for node in own if str(node.module) > module]
    if later:
        return later[0].lineno
    if own or top:
        last = (own or top)[-1]
        assert last.end_lineno
        return last.end_lineno + 1
    first = code.tree.body[0] if code.tree.body else None
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return (first.end_lineno or 0) + 1 if first and is_docstring else 1


def _is_kin(node: ast.ImportFrom, module: str) -> bool:
    return (node.module or "").partition(".")[0] == module.partition(".")[0]


def without_unused(text: str, before: str, kept: set[str], replaced: set[str]) -> str:
    """Return a module without the imports that it used before, and does not use any more.

    Those `kept` stay; those `replaced` go although they are used.
    """
    code, old = Code(text), Code(before)
    names = origins_of(code.tree).keys() & loaded_names(old.tree)
    unused = (names - loaded_names(code.tree) - kept) | replaced
    edits = [e for node in code.tree.body for e in _without(code, node, unused)]
    return code.edited(edits) if edits else text


def _without(code: Code, node: ast.stmt, unused: set[str]) -> list[Edit]:
    if not isinstance(node, ast.Import | ast.ImportFrom) or not node.end_lineno:
        return []
    gone = [alias for alias in node.names if (alias.asname or alias.name) in unused]
    if not gone:
        return []
    if len(gone) == len(node.names):
        return [Edit(code.line(node.lineno), code.line(node.end_lineno + 1), "")]
    if node.lineno == node.end_lineno:
        left = ", ".join(ast.unparse(alias) for alias in node.names if alias not in gone)
        start = code.start(node.names[0])
        return [Edit(start, code.end(node.names[-1]), left)]
    return [_without_alias(code, alias) for alias in gone]


def _without_alias(code: Code, alias: ast.alias) -> Edit:
    """Return an edit that deletes a name from a list of several lines, with its line if alone."""
    start, end = code.start(alias), code.end(alias)
    while code.data[end : end + 1] in (b" ", b","):
        end += 1
    line = code.line(alias.lineno)
    if not code.data[line:start].strip() and code.data[end : end + 1] == b"\n":
        return Edit(line, end + 1, "")
    return Edit(start, end, "")
