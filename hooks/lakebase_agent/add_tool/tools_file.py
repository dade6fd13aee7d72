"""Adding a server to `MCP_SERVERS` in tools.py, where its owner keeps it as a list."""

import ast
import json
import re
from collections.abc import Iterator

from lakebase_agent.add_tool.tools_imports import column_of, lines_of, name_of_mcp, with_import

PLACE = "agent_server/tools.py"
WIDTH, INDENT = 100, "    "
BOM = "\ufeff"
STRINGS = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")
Server = tuple[str, bool]  # its path, and whether it acts as the user


def servers_in(text: str) -> dict[str, Server]:
    """Return the servers that are written out in the code, by name.

    Raises SyntaxError if the text is not Python.
    """
    module = ast.parse(text.removeprefix(BOM))
    names = {"Mcp", name_of_mcp(module)}
    found: dict[str, Server] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in names:
            found.update(_written_out(node))
    return found


def call(text: str, name: str, path: str, as_user: bool) -> str:
    """Return the code of a server, as the code in `text` calls the class."""
    mcp = name_of_mcp(ast.parse(text.removeprefix(BOM))) or "Mcp"
    return f"{mcp}({', '.join(_arguments(name, path, as_user))})"


def with_server(text: str, name: str, path: str, as_user: bool) -> str | None:
    """Return the text with one more server in its list; None if there is no such list.

    Raises SyntaxError if the text is not Python.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    bom, plain = text.startswith(BOM), text.removeprefix(BOM).replace("\r\n", "\n")
    node = _list_in(ast.parse(plain))
    if node is None:
        return None
    edited = with_import(_with_item(plain, node, call(plain, name, path, as_user)))
    if not _is_added(plain, edited, name, (path, as_user)):
        return None
    return (BOM if bom else "") + edited.replace("\n", newline)


def _is_added(old: str, new: str, name: str, server: Server) -> bool:
    """Return whether the new code has the server besides what the old has, and nothing else."""
    try:
        return servers_in(new) == {**servers_in(old), name: server}
    except SyntaxError:
        return False


def _written_out(node: ast.Call) -> Iterator[tuple[str, Server]]:
    given = dict(zip(("name", "url", "as_user"), node.args, strict=False))
    given |= {str(keyword.arg): keyword.value for keyword in node.keywords}
    match given:
        case {"name": ast.Constant(str(name)), "url": ast.Constant(str(path))}:
            as_user = given.get("as_user")
            yield name, (path, isinstance(as_user, ast.Constant) and as_user.value is True)


def _list_in(module: ast.Module) -> ast.List | None:
    for node in module.body:
        match node:
            case (
                ast.AnnAssign(target=ast.Name("MCP_SERVERS"), value=ast.List() as found)
                | ast.Assign(targets=[ast.Name("MCP_SERVERS")], value=ast.List() as found)
            ):
                return found
    return None


def _with_item(text: str, node: ast.List, server: str) -> str:
    """Return the text with a server at the end of the list; unchanged where that loses a line."""
    lines = lines_of(text)
    first, last = node.lineno - 1, (node.end_lineno or 0) - 1
    end = column_of(lines[last], node.end_col_offset or 0)
    head, tail = lines[first][: column_of(lines[first], node.col_offset)], lines[last][end:]
    own = lines[first + 1 : last]
    if own and lines[last][: end - 1].strip() == "" and _ends_with_comma(own):
        return "".join([*lines[:last], _item(server), *lines[last:]])
    if "#" in STRINGS.sub("", str(ast.get_source_segment(text, node))):
        return text
    items = [*(str(ast.get_source_segment(text, item)) for item in node.elts), server]
    line = f"{head}[{', '.join(items)}]"
    if len(line) > WIDTH:
        line = f"{head}[\n{''.join(map(_item, items))}]"
    return "".join([*lines[:first], line, tail, *lines[last + 1 :]])


def _ends_with_comma(own: list[str]) -> bool:
    """Return whether another item may be written below these lines of a list."""
    code = [STRINGS.sub("", line).split("#")[0].strip() for line in own]
    last = next((line for line in reversed(code) if line), ",")
    return last.endswith(",")


def _item(server: str) -> str:
    """Return the line of a server in a list, in several lines where it is too long for one."""
    if len(line := f"{INDENT}{server},\n") <= WIDTH + 1 or "\n" in server:
        return line
    match ast.parse(server, mode="eval").body:
        case ast.Call(func=func, args=args, keywords=keywords):
            parts = [str(ast.get_source_segment(server, part)) for part in args]
            parts += [f"{keyword.arg}={ast.unparse(keyword.value)}" for keyword in keywords]
            return _in_lines(ast.unparse(func), parts)
    return line


def _in_lines(function: str, parts: list[str]) -> str:
    inside = f"{INDENT * 2}{', '.join(parts)}\n"
    if len(inside) > WIDTH + 1:
        inside = "".join(f"{INDENT * 2}{part},\n" for part in parts)
    return f"{INDENT}{function}(\n{inside}{INDENT}),\n"


def _arguments(name: str, path: str, as_user: bool) -> list[str]:
    return [json.dumps(name), json.dumps(path), *(["as_user=True"] if as_user else [])]
