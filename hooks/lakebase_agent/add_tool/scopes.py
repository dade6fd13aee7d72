"""The scopes that tools.py needs, to act as the user who asks with what it uses."""

import ast
from collections.abc import Iterable, Iterator

from lakebase_agent.add_tool import tools, tools_file

AS_USER = "as_user"  # of agent_server.on_behalf: it hands a client of the user to a function
# The scope for each part of `WorkspaceClient`, where an app can be given one.
# https://docs.databricks.com/aws/en/dev-tools/databricks-apps/auth
CLIENT_SCOPES = {
    "statement_execution": "sql",
    "warehouses": "sql",
    "genie": "genie",
    "vector_search_indexes": "vector-search",
    "vector_search_endpoints": "vector-search",
    "serving_endpoints": "model-serving",
    "files": "files",
    "connections": "catalog.connections",
    "catalogs": "catalog.catalogs:read",
    "schemas": "catalog.schemas:read",
    "tables": "catalog.tables:read",
    "workspace": "workspace.workspace",
    "postgres": "postgres",
    "database": "postgres",
}
# Older names, which the platform still takes, or tells.
RENAMED = {
    "dashboards.genie": "genie",
    "files.files": "files",
    "serving.serving-endpoints": "model-serving",
    "sql.statement-execution": "sql",
    "vectorsearch.vector-search-indexes": "vector-search",
}
EVERYTHING = ("all-apis", "*")


def needed(text: str) -> dict[str, str]:
    """Return the scopes that the code of tools.py needs, each with what needs it.

    Raises SyntaxError if the text is not Python.
    """
    found: dict[str, str] = {}
    for name, (path, as_user) in tools_file.servers_in(text).items():
        if as_user and (scope := tools.scope_of(path)):
            found.setdefault(scope, f"the server {name}")
    for part in _parts_of_clients(ast.parse(text)):
        if scope := CLIENT_SCOPES.get(part, ""):
            found.setdefault(scope, f"as_user with {part}")
    return found


def without(wanted: Iterable[str], given: Iterable[str]) -> list[str]:
    """Return the scopes in `wanted` that are not in `given`, under whichever name."""
    have = {RENAMED.get(scope, scope) for scope in given}
    if not have.isdisjoint(EVERYTHING):
        return []
    return [scope for scope in wanted if RENAMED.get(scope, scope) not in have]


def _parts_of_clients(module: ast.Module) -> Iterator[str]:
    """Yield which parts of the user's client the functions use that are given to `as_user`."""
    functions = {
        node.name: node
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Name(id) | ast.Attribute(attr=id), args=[work, *_]):
                if id == AS_USER and isinstance(work, ast.Name):
                    yield from _parts(functions.get(work.id))
                elif id == AS_USER:
                    yield from _parts(work)


def _parts(work: ast.AST | None) -> Iterator[str]:
    if not isinstance(work, ast.Lambda | ast.FunctionDef) or not work.args.args:
        return
    client = work.args.args[0].arg
    for node in ast.walk(work):
        match node:
            case ast.Attribute(value=ast.Name(id), attr=part) if id == client:
                yield part
