"""The servers that tools.py lists, and their tools as LangChain has them."""

from collections.abc import Collection, Sequence
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool

import agent_server.tools
from agent_server.mcp_servers import Mcp
from agent_server.mcp_servers.names import Listed, NamedTool, named_tools, to_text


def configured_servers() -> list[Listed]:
    """Return the servers in `MCP_SERVERS` of tools.py, which may have none."""
    listed: Sequence[Mcp] = getattr(agent_server.tools, "MCP_SERVERS", ())
    return [mcp.server for mcp in listed]


async def load_mcp_tools(taken: Collection[str]) -> dict[str, BaseTool]:
    """Return by name the tools of all servers that the user who asks may use."""
    servers = configured_servers()
    found = await named_tools(servers, taken) if servers else []
    return {named.name: _to_tool(named) for named in found}


def _to_tool(named: NamedTool) -> BaseTool:
    async def call(**arguments: Any) -> str:
        return to_text(await named.call(arguments))

    return StructuredTool(
        name=named.name,
        description=named.tool.description or named.name,
        args_schema=named.tool.inputSchema,
        coroutine=call,
    )
