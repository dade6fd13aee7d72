"""What a process builds once, before its first turn: the agent."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agent_server.agent import build_agent
from agent_server.tracing import start_tracing
from agent_server.turns import MLFLOW_FLAVOR, Turns


@dataclass(frozen=True)
class Runtime:
    """What serves requests: what runs turns, and a check that raises when they would fail."""

    turns: Turns
    check: Callable[[], Awaitable[None]]


@asynccontextmanager
async def open_runtime() -> AsyncIterator[Runtime]:
    """Yield the runtime; without memory it needs nothing but the agent."""
    await asyncio.to_thread(start_tracing, MLFLOW_FLAVOR)
    yield Runtime(Turns(await build_agent()), _check_nothing)


async def _check_nothing() -> None:
    """Raise nothing: there is no database that could be away."""
