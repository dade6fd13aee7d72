"""What a turn changes in its thread beside what its graph does."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.constants import START
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StateSnapshot

from agent_server.responses.requests import Turn
from agent_server.threads.messages import missing_results, refused, removals

Graph = CompiledStateGraph[Any, Any, Any, Any]


@asynccontextmanager
async def undone_if_it_fails(
    graph: Graph, config: RunnableConfig, turn: Turn
) -> AsyncIterator[None]:
    """Give the thread its last answer back if the body, which is to replace it, does not."""
    if not (turn.again and graph.checkpointer):
        yield
        return
    before = await graph.aget_state(config)
    while turn.response_id and (before.metadata or {}).get("response_id") == turn.response_id:
        before = await graph.aget_state(before.parent_config or {})  # that of an earlier attempt
    done = False
    try:
        yield
        done = True
    finally:
        if not done:
            await asyncio.shield(_restore(graph, config, before))


async def forget(graph: Graph, config: RunnableConfig, sent: Sequence[AnyMessage]) -> None:
    """Remove from the thread what the model refused: it would refuse every later turn, too."""
    messages = (await graph.aget_state(config)).values.get("messages", [])
    await _add(graph, config, removals(refused(messages, sent)))


async def keep_answer(graph: Graph, config: RunnableConfig, text: str) -> None:
    """Keep the result of a tool that ended the turn as its answer; it would seem unanswered."""
    await _add(graph, config, [AIMessage(text, id=str(uuid4()))])


async def answer_open_calls(graph: Graph, config: RunnableConfig, text: str) -> None:
    """Let the model be told `text` as the result of the calls that have none."""
    messages = (await graph.aget_state(config)).values.get("messages", [])
    if results := missing_results(messages, text):
        await _add(graph, config, results)


async def _restore(graph: Graph, config: RunnableConfig, before: StateSnapshot) -> None:
    """Make the thread what it was, unless another turn has changed it since."""
    latest = (await graph.aget_state(config)).metadata or {}
    if before.values and latest.get("turn_id") == config["metadata"]["turn_id"]:
        await graph.aupdate_state(before.config, None)


async def _add(graph: Graph, config: RunnableConfig, messages: Sequence[Any]) -> None:
    await graph.aupdate_state(config, {"messages": messages}, as_node=START)
