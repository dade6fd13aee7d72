"""What a process builds once, before its first turn: the agent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent_server.agent import build_agent
from agent_server.tracing import open_tracing
from agent_server.turns import MLFLOW_FLAVOR, Turns


@asynccontextmanager
async def open_turns() -> AsyncIterator[Turns]:
    """Yield what runs turns; without memory it needs nothing but the agent."""
    async with open_tracing(MLFLOW_FLAVOR):
        yield Turns(await build_agent())
