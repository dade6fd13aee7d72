"""A tool server as the SDK has it, whose tools have names that no other tool of the agent has."""

from typing import Any

from agents import AgentBase, FunctionTool, RunContextWrapper
from agents.mcp import MCPServer
from mcp.types import CallToolResult, GetPromptResult, ListPromptsResult, Tool

from agent_server.mcp_servers.names import Listed, NamedTool, named_tools


class NamedServer(MCPServer):
    """Shows the SDK the tools of `server`, which is connected to when it is needed."""

    def __init__(self, server: Listed, **options: Any) -> None:
        super().__init__(**options)
        self.server = server
        self._named: dict[str, NamedTool] = {}

    @property
    def name(self) -> str:
        """Its name, which tools get in front of theirs when another tool has that, too."""
        return self.server.name

    async def connect(self) -> None:
        """Do nothing: it is connected to when it is needed."""

    async def cleanup(self) -> None:
        """Do nothing: its connections are closed when the process stops."""

    async def list_tools(
        self, run_context: RunContextWrapper[Any] | None = None, agent: AgentBase | None = None
    ) -> list[Tool]:
        """Return the tools that the user who asks may use; raises nothing."""
        beside = agent.mcp_servers if agent else [self]
        servers = [one.server for one in beside if isinstance(one, NamedServer)]
        own = {tool.name for tool in getattr(agent, "tools", ()) if isinstance(tool, FunctionTool)}
        found = await named_tools(servers, own, run_context, agent)
        mine = {named.name: named for named in found if named.server is self.server}
        self._named |= mine
        return [named.tool.model_copy(update={"name": name}) for name, named in mine.items()]

    async def call_tool(
        self, tool_name: str, arguments: dict[str, Any] | None, meta: dict[str, Any] | None = None
    ) -> CallToolResult:
        """Return the result of a tool, or a sentence that says why there is none."""
        named = self._named.get(tool_name)
        return await self.server.call_tool(named.tool.name if named else tool_name, arguments)

    async def list_prompts(self) -> ListPromptsResult:
        """Return no prompts."""
        return ListPromptsResult(prompts=[])

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None
    ) -> GetPromptResult:
        """Raise NotImplementedError: there are no prompts."""
        raise NotImplementedError(f"{self.name} has no prompts here.")
