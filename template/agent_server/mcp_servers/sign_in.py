"""Where an MCP server is, and the headers of a request to it: as the app, or as the user."""

import asyncio
from collections.abc import Mapping

from agent_server.identity import LOCAL_USER, asking
from agent_server.mcp_servers.server import ToolServer
from agent_server.on_behalf import OnBehalfError, user_token
from agent_server.settings import workspace_configured

APP = ""  # the identity of the app


def build_tool_server(
    name: str, url: str, as_user: bool = False, headers: Mapping[str, str] | None = None
) -> ToolServer:
    """Return the server at `url`; a path is one of the workspace, with the token of the moment."""
    in_workspace = url.startswith("/")

    def place() -> str:
        return f"{_host()}{url}" if in_workspace else url

    async def sign_in() -> tuple[str, dict[str, str]]:
        sent = {**(headers or {})}
        if as_user:
            asked_by = asking.get()
            identity = asked_by.user.id if asked_by else LOCAL_USER
            return identity, {**sent, "Authorization": f"Bearer {await user_token()}"}
        if in_workspace:
            sent |= await asyncio.to_thread(_headers_of_app)
        return APP, sent

    return ToolServer(name, place, sign_in, as_user)


def _host() -> str:
    from agent_server.server.workspace import workspace_client

    return str(workspace_client().config.host).rstrip("/")


def _headers_of_app() -> dict[str, str]:
    if not workspace_configured():
        raise OnBehalfError("There is no workspace here. Run: lakebase-agent link")
    from agent_server.server.workspace import workspace_client

    return workspace_client().config.authenticate()
