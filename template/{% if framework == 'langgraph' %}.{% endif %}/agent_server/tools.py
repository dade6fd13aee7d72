"""What the agent can do besides talking: add your own tools here."""

from datetime import datetime
from zoneinfo import ZoneInfo

from langchain.tools import tool
from langchain_core.tools import BaseTool

from agent_server.mcp_servers import Mcp


# An exception ends the turn and is only logged: return what the model should know.
@tool
def get_current_time(timezone: str = "UTC") -> str:
    """Return the current date and time in an IANA time zone such as Europe/Amsterdam."""
    try:
        return datetime.now(ZoneInfo(timezone)).isoformat(timespec="seconds")
    except (ValueError, KeyError, OSError):
        return f"There is no time zone {timezone!r}."


async def load_tools() -> list[BaseTool]:
    """Return the agent's tools; called once, when the process starts."""
    return [get_current_time]


# Servers whose tools the agent may use: Mcp("docs", "https://..."), or with a path of the workspace
# Mcp("genie", "/api/2.0/mcp/genie/SPACE", as_user=True).
MCP_SERVERS: list[Mcp] = []
