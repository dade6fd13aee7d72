"""`lakebase-agent add-tool`: whatever an owner has made of tools.py and of the bundle."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakebase_agent.add_tool import tools, tools_file
from lakebase_agent.add_tool.rights import rights
from lakebase_agent.errors import UsageError
from lakebase_agent.project.yaml_lines import PlaceError, add_to_yaml

PATH = "/api/2.0/mcp/genie/1"
IMPORT = "from agent_server.mcp_servers import Mcp\n"
HARD = 'a: #1 {"it\'s"} \\ \n ${bundle.name} \u2028 größe'
GENIE = tools.genie("1", "Sales")


def added(code: str, path: str = PATH) -> str | None:
    """Return the code with a server, which is checked to be in its list when that runs."""
    return tools_file.with_server(code, "sales", path, True)


@pytest.mark.parametrize(
    ("code", "server"),
    [
        (f"{IMPORT}MCP_SERVERS = []\n", 'MCP_SERVERS = [Mcp("sales"'),
        ("MCP_SERVERS: list[object] = []\n", 'MCP_SERVERS: list[object] = [Mcp("sales"'),
        (f"{IMPORT[:-1]} as Server\nMCP_SERVERS = []\n", '[Server("sales"'),
        ("from agent_server import mcp_servers\nMCP_SERVERS = []\n", '[mcp_servers.Mcp("sales"'),
        ("import agent_server.mcp_servers as m\nMCP_SERVERS = []\n", '[m.Mcp("sales"'),
        (f"{IMPORT}MCP_SERVERS = [*others()]; LAST = 1\n", "as_user=True)]; LAST = 1"),
        (f"{IMPORT}MCP_SERVERS = []  # ours\n", "as_user=True)]  # ours"),
        (f"{IMPORT}MCP_SERVERS = [\n    # mine\n]\n", '[\n    # mine\n    Mcp("sales"'),
        (f'{IMPORT}MCP_SERVERS = [\n    Mcp("a", "b"),  # b\n]\n', '"b"),  # b\n    Mcp("sales"'),
        (f'{IMPORT}MCP_SERVERS = [\n    Mcp("a", "b")\n]\n', '[Mcp("a", "b"), Mcp("sales"'),
    ],
)  # fmt: skip
def test_a_list_of_any_kind_gets_one_more_server(code: str, server: str) -> None:
    edited = added(code)
    assert edited and server in edited
    assert tools_file.servers_in(edited)["sales"] == (PATH, True)


@pytest.mark.parametrize(
    "code",
    [
        "",
        "MCP_SERVERS = ()\n",
        f"{IMPORT}MCP_SERVERS = [Mcp(name, name) for name in NAMES]\n",
        f"{IMPORT}MCP_SERVERS = list(load())\n",
        "if True:\n    MCP_SERVERS = []\n",
        f'{IMPORT}MCP_SERVERS = [\n    Mcp("a", "b")  # b\n]\n',
    ],
)
def test_what_is_no_list_or_would_lose_a_comment_is_left_alone(code: str) -> None:
    assert added(code) is None


def test_the_class_is_imported_for_more_than_type_checkers() -> None:
    only_types = f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {IMPORT}"
    edited = added(f'"""Tools."""\n\n{only_types}\nMCP_SERVERS: "list[Mcp]" = []\n')
    assert edited and f"\n{IMPORT}" in edited and ast.get_docstring(ast.parse(edited)) == "Tools."


@pytest.mark.parametrize("code", ['"""Tools."""\n\nMCP_SERVERS = []\n', "MCP_SERVERS = []\n"])
def test_code_without_imports_keeps_its_docstring(code: str) -> None:
    edited = added(code)
    assert edited and IMPORT in edited
    assert ast.get_docstring(ast.parse(edited)) == ast.get_docstring(ast.parse(code))


def test_line_ends_and_a_byte_order_mark_stay() -> None:
    edited = added(f"\ufeff{IMPORT}\nMCP_SERVERS = []\n".replace("\n", "\r\n"))
    assert edited and edited[0] == "\ufeff" and edited.count("\n") == edited.count("\r\n")


def test_a_server_that_is_written_with_keywords_is_known() -> None:
    code = f'Mcp(name="x", as_user=True, url="{PATH}")'
    assert tools_file.servers_in(code) == {"x": (PATH, True)}


@pytest.mark.parametrize("length", [20, 60, 80])
def test_long_lines_are_as_a_formatter_has_them(tmp_path: Path, length: int) -> None:
    code = f'"""Tools."""\n\n{IMPORT}\nMCP_SERVERS: list[Mcp] = []\n'
    for name in ("a", "b"):
        edited = tools_file.with_server(code, name, f"/{name * length}", True)
        assert edited
        code = edited
    (tmp_path / "tools.py").write_text(code)
    command = [str(Path(sys.executable).with_name("ruff")), "format", "--diff", "--line-length"]
    done = subprocess.run([*command, "100", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_any_name_is_quoted_for_python_and_for_the_address() -> None:
    tool = tools.connection(HARD)
    edited = tools_file.with_server(f"{IMPORT}MCP_SERVERS = []\n", HARD, tool.path, False)
    assert edited and tools_file.servers_in(edited) == {HARD: (tool.path, False)}
    assert tool.path.removeprefix("/api/2.0/mcp/external/").isascii() and " " not in tool.path


def bundle(app: str) -> str:
    """Return a bundle with an app of this content."""
    return f"bundle: {{name: b}}\nresources:\n  apps:\n    agent:\n{app}"


def with_rights(text: str, as_user: bool, tool: tools.Tool = GENIE, target: str = "dev") -> str:
    """Return the text of a bundle whose app may use the tool."""
    needed = rights(yaml.safe_load(text), target, "genie", tool, as_user)
    return add_to_yaml("databricks.yml", text, needed)


def app_of(text: str) -> dict[str, Any]:
    """Return the app of a bundle."""
    return dict(yaml.safe_load(text)["resources"]["apps"]["agent"])


@pytest.mark.parametrize(
    "app",
    [
        "      name: a # the app\n      # below it\n",
        "      {name: a}\n",
        "      user_api_scopes: []\n",
        "      user_api_scopes:\n",
        "      user_api_scopes: [sql] # asked for\n",
        "      user_api_scopes:\n      - sql # asked for\n      # more\n      name: a\n",
        "      name: a\r\n      user_api_scopes:\r\n        - sql\r\n",
    ],
)
def test_a_scope_is_added_to_an_app_of_any_layout(app: str) -> None:
    edited = with_rights(bundle(app), as_user=True)
    scopes = app_of(bundle(app)).get("user_api_scopes") or []
    assert app_of(edited)["user_api_scopes"] == [*scopes, "genie"]
    assert edited.count("#") == app.count("#")
    assert with_rights(edited, as_user=True) == edited


def test_a_name_is_quoted_for_yaml_and_never_a_reference() -> None:
    hard = tools.genie("1", HARD.replace("${bundle.name}", "x"))
    edited = with_rights(bundle("      name: a\n"), False, hard)
    assert app_of(edited)["resources"][0]["genie_space"]["name"] == hard.title
    edited = with_rights(bundle("      name: a\n"), False, tools.genie("1", "${bundle.name}"))
    assert app_of(edited)["resources"][0]["genie_space"]["name"] == "1"


def test_a_scope_under_its_older_name_is_there() -> None:
    text = bundle("      user_api_scopes: [dashboards.genie]\n")
    assert with_rights(text, as_user=True) == text


def test_an_app_of_one_target_gets_it_there() -> None:
    text = "bundle: {name: b}\ntargets:\n  dev:\n    resources:\n      apps:\n        agent:\n"
    edited = with_rights(f"{text}          name: a\n", as_user=True)
    app = yaml.safe_load(edited)["targets"]["dev"]["resources"]["apps"]["agent"]
    assert app == {"name": "a", "user_api_scopes": ["genie"]}


def test_an_app_that_is_elsewhere_gets_nothing_and_says_what_it_needs() -> None:
    text = "bundle: {name: b}\ntargets: {dev: {resources: {apps: {agent: {name: a}}}}}\n"
    with pytest.raises(UsageError, match=r'not: none.*"user_api_scopes": \["genie"\]'):
        with_rights(text, as_user=True, target="prod")


def test_an_app_that_an_anchor_repeats_gets_nothing() -> None:
    text = "bundle: {name: b}\nresources: {apps: {agent: &app {name: a}}}\nother: *app\n"
    with pytest.raises(PlaceError, match=r"\*app repeats"):
        with_rights(text, as_user=True)
