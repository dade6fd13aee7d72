"""The tools that a workspace has for agents: its managed MCP servers, and what lies behind each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True)
class Tool:
    """Something of a workspace that an agent can use, as one managed MCP server."""

    title: str  # what people call it
    id: str  # how the workspace finds it
    path: str  # of its server
    # What the app may then use, as `resources` of an app in a bundle, but for their names.
    grants: Sequence[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Kind:
    """A kind of tools: what one is called, and the scope to use it as the user who asks."""

    what: str
    scope: str


# The names are those that an app may ask for, which differ from those of other OAuth clients: for
# functions these have `unity-catalog`, which the API of apps refuses.
# https://docs.databricks.com/aws/en/agents/mcp/managed-mcp
KINDS = {
    "genie": Kind("Genie space", "genie"),
    "vector-search": Kind("vector index", "vector-search"),
    "functions": Kind("schema of functions", "mcp.functions"),
    "sql": Kind("SQL warehouse", "sql"),
    "mcp": Kind("connection to an MCP server", "mcp.external"),
}
SERVERS = "/api/2.0/mcp"


def genie(space_id: str, title: str) -> Tool:
    """Return a Genie space."""
    # The bundle would fill in what looks like a reference of its own.
    shown = space_id if "${" in title else title
    space = {"name": shown, "space_id": space_id, "permission": "CAN_RUN"}
    return Tool(title, space_id, f"{SERVERS}/genie/{space_id}", [{"genie_space": space}])


def vector_index(name: str) -> Tool:
    """Return a vector index, given its full name."""
    path = f"{SERVERS}/vector-search/{_in_url(name)}"
    return Tool(name, name, path, [_securable("TABLE", name, "SELECT")])


def functions(schema: str, names: Sequence[str]) -> Tool:
    """Return a schema, given the full names of its functions."""
    grants = [_securable("FUNCTION", name, "EXECUTE") for name in names]
    return Tool(schema, schema, f"{SERVERS}/functions/{_in_url(schema)}", grants)


def warehouse(warehouse_id: str, title: str) -> Tool:
    """Return a SQL warehouse."""
    grant = {"sql_warehouse": {"id": warehouse_id, "permission": "CAN_USE"}}
    return Tool(title, warehouse_id, f"{SERVERS}/sql", [grant])


def connection(name: str) -> Tool:
    """Return a connection of Unity Catalog to an MCP server outside the workspace."""
    grants = [_securable("CONNECTION", name, "USE_CONNECTION")]
    return Tool(name, name, f"{SERVERS}/external/{quote(name, safe='')}", grants)


def scope_of(path: str) -> str:
    """Return the scope that a server at this path needs to act as the user; empty if unknown."""
    kinds = {"external": "mcp"}
    found = re.match(rf"{SERVERS}/([a-z-]+)", path)
    name = kinds.get(found[1], found[1]) if found else ""
    return KINDS[name].scope if name in KINDS else ""


def to_name(title: str, taken: Sequence[str] = ()) -> str:
    """Return a short name for a server, which no other has."""
    name = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:30] or "tool"
    number = 2
    while name in taken:
        name, number = f"{name.rstrip('0123456789_')}_{number}", number + 1
    return name


def _in_url(full_name: str) -> str:
    return "/".join(quote(part, safe="") for part in full_name.split("."))


def _securable(kind: str, name: str, permission: str) -> dict[str, Any]:
    return {
        "uc_securable": {
            "securable_full_name": name,
            "securable_type": kind,
            "permission": permission,
        }
    }
