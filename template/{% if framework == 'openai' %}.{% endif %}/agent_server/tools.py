"""What the agent can do besides talking: add your own tools here."""

from datetime import datetime
from zoneinfo import ZoneInfo

from agents import Tool, function_tool
from agents.mcp import MCPServer

from agent_server.tool_failures import tell_model


# An exception ends the turn and is only logged: return what the model should know. Without
# `tell_model`, the SDK would show the exception to the model, and so to the client.
@function_tool(failure_error_function=tell_model)
def get_current_time(timezone: str = "UTC") -> str:
    """Return the current date and time in an IANA time zone such as Europe/Amsterdam."""
    try:
        return datetime.now(ZoneInfo(timezone)).isoformat(timespec="seconds")
    except (ValueError, KeyError, OSError):
        return f"There is no time zone {timezone!r}."


TOOLS: list[Tool] = [get_current_time]

# Servers whose tools the agent may use: Mcp("docs", "https://...") of agent_server.mcp_servers or,
# with a path of the workspace, Mcp("genie", "/api/2.0/mcp/genie/SPACE", as_user=True).
MCP_SERVERS: list[MCPServer] = []
