"""Runs the agent for one turn, and emits its output to the response."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from typing import Any, cast
from uuid import uuid4

import openai
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.constants import START
from langgraph.errors import GraphRecursionError
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore
from langgraph.types import StateSnapshot

from agent_server.errors import ModelError
from agent_server.identity import User
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.input import to_messages
from agent_server.responses.requests import Turn
from agent_server.responses.tool_calls import ToolCallBound
from agent_server.settings import limit
from agent_server.threads.messages import refused, removals

MLFLOW_FLAVOR = "mlflow.langchain"
Agent = CompiledStateGraph[Any, User, Any, Any]
Store = BaseStore
# Opens a thread for one turn: takes its key, and the id of the background response or "".
OpenThread = Callable[[str, str], AbstractAsyncContextManager[BaseCheckpointSaver[Any]]]


async def run_turn(
    agent: Agent,
    open_thread: OpenThread | None,
    store: Store | None,
    turn: Turn,
    response: ResponseBuilder,
) -> None:
    """Run one turn, and emit the output of the model and the tools to `response` as it arrives.

    Raises ModelError, and whatever the model, the tools and the database raise.
    """
    opened = open_thread(turn.thread_key, turn.response_id) if open_thread else nullcontext()
    async with opened as checkpointer:
        graph = agent.copy({"checkpointer": checkpointer, "store": store})
        config = _config(turn)
        incoming = to_messages(turn.items)
        sent: dict[str, Any] | None = {"incoming": incoming, "again": turn.again}
        if checkpointer and turn.response_id and await _resumes(graph, config, response):
            sent = None
        try:
            async with _undone_if_it_fails(graph, config, turn):
                await _stream(graph, sent, turn, config, response)
        except GraphRecursionError as error:
            raise ModelError(f"no answer within {limit('MAX_STEPS')} steps") from error
        except (openai.BadRequestError, openai.UnprocessableEntityError):
            if checkpointer and not turn.again:
                await _forget(graph, config, incoming)
            raise
    response.complete()


def _config(turn: Turn) -> RunnableConfig:
    return {
        "configurable": {"thread_id": turn.thread_key},
        "recursion_limit": 2 * limit("MAX_STEPS"),  # calls to the model, and to tools
        "callbacks": [ToolCallBound()],
        "metadata": {"response_id": turn.response_id, "turn_id": uuid4().hex},
    }


async def _stream(
    graph: Agent, sent: Any, turn: Turn, config: RunnableConfig, response: ResponseBuilder
) -> None:
    options: dict[str, Any] = {"context": turn.user}
    options["stream_mode"] = ["messages", "updates"] if turn.stream else ["updates"]
    if graph.checkpointer:
        # A background run continues from its last step after a crash.
        options["durability"] = "sync" if turn.response_id else "exit"
    # Closed at once, and so the connection to the model, when the response takes no more.
    stream = cast(AsyncGenerator[Any, None], graph.astream(sent, config, **options))
    async with aclosing(stream) as chunks:
        async for mode, chunk in chunks:
            emit = _emit_text if mode == "messages" else _emit_update
            emit(chunk, response)


@asynccontextmanager
async def _undone_if_it_fails(
    graph: Agent, config: RunnableConfig, turn: Turn
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


async def _restore(graph: Agent, config: RunnableConfig, before: StateSnapshot) -> None:
    """Make the thread what it was, unless another turn has changed it since."""
    latest = (await graph.aget_state(config)).metadata or {}
    if before.values and latest.get("turn_id") == config["metadata"]["turn_id"]:
        await graph.aupdate_state(before.config, None)


async def _forget(graph: Agent, config: RunnableConfig, sent: list[AnyMessage]) -> None:
    """Remove from the thread what the model refused: it would refuse every later turn, too."""
    messages = (await graph.aget_state(config)).values.get("messages", [])
    gone = removals(refused(messages, sent))
    await graph.aupdate_state(config, {"messages": gone}, as_node=START)


async def _resumes(graph: Agent, config: RunnableConfig, response: ResponseBuilder) -> bool:
    """Emit what an earlier attempt left in the thread; return False if it left nothing."""
    state = await graph.aget_state(config)
    same = (state.metadata or {}).get("response_id") == config["metadata"]["response_id"]
    # Until these steps are done, the user's message is not in the thread.
    if not same or any(node.endswith((START, ".before_agent")) for node in state.next):
        return False
    messages = state.values["messages"]
    last = max(i for i, message in enumerate(messages) if isinstance(message, HumanMessage))
    for message in messages[last + 1 :]:
        _emit_message(message, response)
    return True


def _emit_text(chunk: Any, response: ResponseBuilder) -> None:
    message, metadata = chunk
    # Only text from the agent's own model, not from a model that a tool calls.
    own = metadata["langgraph_node"] == "model" and isinstance(message, AIMessageChunk)
    if own and message.text:
        response.text(message.text)


def _emit_update(chunk: Any, response: ResponseBuilder) -> None:
    for node, update in chunk.items():
        # A middleware that ends the run may add last messages.
        ends = isinstance(update, dict) and update.get("jump_to") == "end"
        if ends or node in ("model", "tools"):
            for message in (update or {}).get("messages", []):
                _emit_message(message, response)


def _emit_message(message: AnyMessage, response: ResponseBuilder) -> None:
    if isinstance(message, ToolMessage):
        response.tool_output(message.tool_call_id, message.text)
    if isinstance(message, AIMessage):
        response.end_text(message.text)
        for call in message.tool_calls:
            response.tool_call(str(call["id"]), call["name"], json.dumps(call["args"]))
        if used := message.usage_metadata:
            response.count(used["input_tokens"], used["output_tokens"])
