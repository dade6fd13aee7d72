"""What the agent can do besides talking: add your own tools here."""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agents import Tool, function_tool
from agents.mcp import MCPServer


@function_tool
def get_current_time(timezone: str = "UTC") -> str:
    """Return the current date and time in an IANA time zone such as Europe/Amsterdam."""
    try:
        return datetime.now(ZoneInfo(timezone)).isoformat(timespec="seconds")
    except (ValueError, ZoneInfoNotFoundError):
        return f"There is no time zone {timezone!r}."


TOOLS: list[Tool] = [get_current_time]

# Servers whose tools the agent may use, such as McpServer(url=...) from databricks_openai.agents.
MCP_SERVERS: list[MCPServer] = []
