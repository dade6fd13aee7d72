"""The agent: a model, a prompt and tools. This file is yours."""

import asyncio
from typing import Any

from langchain.agents import create_agent
from langgraph.graph.state import CompiledStateGraph

from agent_server.identity import User
from agent_server.memory import memory_tools
from agent_server.model import build_model
from agent_server.prompts import SYSTEM_PROMPT
from agent_server.threads import ThreadState, TurnInput
from agent_server.tools import load_tools


async def build_agent() -> CompiledStateGraph[Any, User, Any, Any]:
    """Return the agent; called once, when the process starts."""
    # In a thread: looking up a workspace must not block the server.
    model = await asyncio.to_thread(build_model)
    return create_agent(
        model,
        tools=[*await load_tools(), *memory_tools()],
        system_prompt=SYSTEM_PROMPT,
        # These three connect the agent to its threads and to the user who asks.
        middleware=[TurnInput()],
        state_schema=ThreadState,
        context_schema=User,
    )
