"""One turn: run the agent on what the user sent, and tell the response what happens."""

import json
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, ToolMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore

from agent_server.identity import User
from agent_server.requests import Turn
from agent_server.responses import Event, ResponseBuilder
from agent_server.threads import to_messages

Graph = CompiledStateGraph[Any, User, Any, Any]
Checkpointer = BaseCheckpointSaver[str] | None
MLFLOW_FLAVOR = "mlflow.langchain"
OpenThread = Callable[[str], AbstractAsyncContextManager[Checkpointer]]


def no_thread(_thread_key: str) -> AbstractAsyncContextManager[Checkpointer]:
    """Open nothing: without short-term memory, each turn stands alone."""
    return nullcontext()


class Turns:
    """Runs the turns of every user; one per process."""

    def __init__(
        self, agent: Graph, open_thread: OpenThread = no_thread, store: BaseStore | None = None
    ) -> None:
        self._graph = agent.copy({"store": store})
        self._open_thread = open_thread

    async def run(self, turn: Turn, response: ResponseBuilder) -> AsyncGenerator[Event]:
        """Yield the events of a turn, as the model and the tools produce them."""
        async with self._open_thread(turn.thread_key) as checkpointer:
            graph = self._graph.copy({"checkpointer": checkpointer})
            async with aclosing(_stream(graph, turn)) as chunks:
                async for mode, chunk in chunks:
                    for event in _to_events(mode, chunk, response):
                        yield event
        for event in response.completed():
            yield event


async def _stream(graph: Graph, turn: Turn) -> AsyncGenerator[tuple[str, Any]]:
    stream = graph.astream(
        {"incoming": to_messages(turn.items)},
        {"configurable": {"thread_id": turn.thread_key}},
        context=turn.user,
        stream_mode=["messages", "updates"] if turn.stream else ["updates"],
        durability="exit" if graph.checkpointer else None,
    )
    async for mode, chunk in stream:
        yield str(mode), chunk


def _to_events(mode: str, chunk: Any, response: ResponseBuilder) -> Iterator[Event]:
    if mode == "messages":
        message, metadata = chunk
        # Only what the agent's own model says, not a model that a tool calls.
        if metadata["langgraph_node"] == "model" and isinstance(message, AIMessageChunk):
            yield from response.text(message.text) if message.text else ()
        return
    for node in ("model", "tools"):
        for message in (chunk.get(node) or {}).get("messages", []):
            yield from _message_events(message, response)


def _message_events(message: AnyMessage, response: ResponseBuilder) -> Iterator[Event]:
    if isinstance(message, ToolMessage):
        yield from response.tool_output(message.tool_call_id, message.text)
    if not isinstance(message, AIMessage):
        return
    yield from response.end_text(message.text)
    for call in message.tool_calls:
        yield from response.tool_call(str(call["id"]), call["name"], json.dumps(call["args"]))
    if tokens := message.usage_metadata:
        response.count(tokens["input_tokens"], tokens["output_tokens"])
