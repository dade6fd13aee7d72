"""The agent: a model, a prompt and tools. This file is yours."""

import asyncio

from agents import Agent

from agent_server.context import Context
from agent_server.memory import memory_tools
from agent_server.model import build_model
from agent_server.prompts import SYSTEM_PROMPT
from agent_server.tools import MCP_SERVERS, TOOLS


async def build_agent() -> Agent[Context]:
    """Return the agent; called once, when the process starts."""
    for server in MCP_SERVERS:
        await server.connect()  # type: ignore[no-untyped-call]
    # In a thread: looking up a workspace must not block the server.
    model = await asyncio.to_thread(build_model)
    return Agent(
        name="agent",
        instructions=SYSTEM_PROMPT,
        model=model,
        tools=[*TOOLS, *memory_tools()],
        mcp_servers=MCP_SERVERS,
    )
