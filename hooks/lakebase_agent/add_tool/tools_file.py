"""Adding a server to `MCP_SERVERS` in tools.py, where the template put that list."""

import ast
import json

PLACE = "agent_server/tools.py"
WIDTH = 100
IMPORT = "from agent_server.mcp_servers import Mcp"


def call(name: str, path: str, as_user: bool) -> str:
    """Return the code of a server."""
    return f"Mcp({json.dumps(name)}, {json.dumps(path)}{', as_user=True' if as_user else ''})"


def servers_in(text: str) -> dict[str, tuple[str, bool]]:
    """Return the servers of the list, by name: their paths, and whether they act as the user.

    Only those that are written as `call` writes them.
    """
    found = {}
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(
                func=ast.Name("Mcp"),
                args=[ast.Constant(str(name)), ast.Constant(str(path))],
                keywords=keywords,
            ):
                as_user = any(k.arg == "as_user" and _is_true(k.value) for k in keywords)
                found[name] = (path, as_user)
    return found


def with_server(text: str, server: str) -> str | None:
    """Return the text with one more server in its list; None if that is not where it was.

    Raises SyntaxError if the text is not Python.
    """
    node = _list_in(ast.parse(text))
    if node is None or node.value is None or not isinstance(node.value, ast.List):
        return None
    lines = text.splitlines(keepends=True)
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    if any("#" in line for line in lines[first : last + 1]):
        return None
    items = [str(ast.get_source_segment(text, item)) for item in node.value.elts]
    head = lines[first][: _column(lines[first], node.value.col_offset)]
    lines[first : last + 1] = [_to_code(head, [*items, server]) + "\n"]
    return _with_import("".join(lines))


def _list_in(module: ast.Module) -> ast.Assign | ast.AnnAssign | None:
    for node in module.body:
        match node:
            case ast.AnnAssign(target=ast.Name("MCP_SERVERS")):
                return node
            case ast.Assign(targets=[ast.Name("MCP_SERVERS")]):
                return node
    return None


def _to_code(head: str, items: list[str]) -> str:
    line = f"{head}[{', '.join(items)}]"
    if len(line) <= WIDTH:
        return line
    return f"{head}[\n" + "".join(f"    {item},\n" for item in items) + "]"


def _with_import(text: str) -> str:
    """Return the text with the import of `Mcp`, in its place among those of the project."""
    lines = text.splitlines(keepends=True)
    if any(line.strip() == IMPORT for line in lines):
        return text
    nodes = [n for n in ast.parse(text).body if isinstance(n, ast.Import | ast.ImportFrom)]
    after = [n for n in nodes if not _is_ours(n) or lines[n.lineno - 1].strip() < IMPORT]
    place = (after[-1].end_lineno or 0) if after else 0
    new = [f"{IMPORT}\n"]
    if after and not _is_ours(after[-1]):
        if any(map(_is_ours, nodes)):
            place += 1  # the blank line before those of the project
        else:
            new = ["\n", *new]
    return "".join([*lines[:place], *new, *lines[place:]])


def _is_ours(node: ast.Import | ast.ImportFrom) -> bool:
    return isinstance(node, ast.ImportFrom) and str(node.module).startswith("agent_server")


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _column(line: str, offset: int) -> int:
    """Return the place of a letter, given its offset in bytes."""
    return len(line.encode()[:offset].decode())
