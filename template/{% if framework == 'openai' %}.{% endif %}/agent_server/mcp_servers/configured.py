"""The servers that tools.py lists."""

from agents.mcp import MCPServer

import agent_server.tools
from agent_server.mcp_servers.lasting import LastingServer
from agent_server.mcp_servers.named_server import NamedServer
from agent_server.mcp_servers.names import Listed


def configured_servers() -> list[Listed]:
    """Return the servers in `MCP_SERVERS` of tools.py, which may have none.

    In that list, which agent.py uses, the SDK's own servers become servers that last.
    """
    listed: list[MCPServer] = getattr(agent_server.tools, "MCP_SERVERS", [])
    named = [one if isinstance(one, NamedServer) else _lasting(one) for one in listed]
    listed[:] = named
    return [one.server for one in named]


def _lasting(server: MCPServer) -> NamedServer:
    named = NamedServer(LastingServer(server))
    # What the owner chose for every server, such as who approves.
    every = vars(NamedServer(named.server)).keys() - {"server", "_named"}
    named.__dict__.update({name: vars(server)[name] for name in every if name in vars(server)})
    return named
