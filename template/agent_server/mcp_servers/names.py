"""The names under which a model sees the tools of several servers."""

import asyncio
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # it takes long to import, and most agents have no servers
    from mcp.types import CallToolResult, Tool

UNFIT = re.compile(r"[^a-zA-Z0-9_-]")  # in a name that models accept
MOST = 64  # characters in one


class Listed(Protocol):
    """A server that tools.py lists; nothing that it does raises an error."""

    name: str
    as_user: bool
    degraded: bool  # it could not be reached when it was last tried

    async def list_tools(self, *place: Any) -> "list[Tool]":
        """Return its tools, for a run and an agent where the framework has these."""

    async def call_tool(self, name: str, arguments: Any) -> "CallToolResult":
        """Return the result of a tool, or a sentence that says why there is none."""

    async def close(self) -> None:
        """Close its connections."""


@dataclass(frozen=True)
class NamedTool:
    """A tool of a server, and the name that the model calls it by."""

    name: str
    tool: "Tool"
    server: Listed

    async def call(self, arguments: Any) -> "CallToolResult":
        """Return its result, or a sentence that says why there is none."""
        return await self.server.call_tool(self.tool.name, arguments)


async def named_tools(
    servers: Sequence[Listed], taken: Collection[str], *place: Any
) -> list[NamedTool]:
    """Return the tools of all servers; a name that is taken is prefixed with its server's.

    If any server is used as the user, the names of all tools of the app's servers are prefixed:
    otherwise a name would mean the user's tool at one time, and the app's whenever the user has
    none.
    """
    lists = await asyncio.gather(*(server.list_tools(*place) for server in servers))
    mixed = any(server.as_user for server in servers)
    used, found = set(taken), list[NamedTool]()
    # The app's first: what they are called must not depend on what a user may use.
    for server, tools in sorted(zip(servers, lists, strict=True), key=lambda one: one[0].as_user):
        for tool in tools:
            names = _names(server.name, tool.name, plain=server.as_user or not mixed)
            name = next(name for name in names if name not in used)
            used.add(name)
            found.append(NamedTool(name, tool, server))
    return found


def to_text(result: "CallToolResult") -> str:
    """Return what a tool answered as text; of what is no text, its kind."""
    parts = [getattr(part, "text", None) or f"[{part.type}]" for part in result.content]
    if not parts and result.structuredContent is not None:
        return str(result.structuredContent)
    return "\n".join(parts)


def absent_tool(server: str, why: str) -> "Tool":
    """Return what a server has in place of its tools: it only says why they are not there."""
    from mcp.types import Tool

    return Tool(name=server, description=why, inputSchema={"type": "object", "properties": {}})


def failed_result(said: str) -> "CallToolResult":
    """Return the result of a call that failed, for the model to read."""
    from mcp.types import CallToolResult, TextContent

    return CallToolResult(content=[TextContent(type="text", text=said)], isError=True)


def _names(server: str, tool: str, plain: bool) -> Iterator[str]:
    if plain or tool == server:  # the second says that its server is absent
        yield UNFIT.sub("_", tool)[:MOST]
    yield UNFIT.sub("_", f"{server}_{tool}")[:MOST]
    number = 2
    while True:
        yield UNFIT.sub("_", f"{server}_{tool}")[: MOST - 4] + f"_{number}"
        number += 1
