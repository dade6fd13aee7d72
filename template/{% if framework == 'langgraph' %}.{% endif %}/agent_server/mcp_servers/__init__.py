"""Servers whose tools the agent may use, by the Model Context Protocol (MCP).

List them as `MCP_SERVERS` in tools.py. One that is away, slow or refuses costs its own calls a
sentence to the model, and nothing else.
"""

from collections.abc import Mapping

from agent_server.mcp_servers.sign_in import build_tool_server


class Mcp:
    """A server: `Mcp("docs", "https://mcp.example.com/mcp")`.

    A path is one of the workspace, for example `/api/2.0/mcp/genie/SPACE`. The app signs in there,
    or with `as_user` the user who asks, each time with a token of the moment.
    """

    def __init__(
        self, name: str, url: str, as_user: bool = False, headers: Mapping[str, str] | None = None
    ) -> None:
        self.server = build_tool_server(name, url, as_user, headers)
