"""Runs the agent for one turn, and emits its output to the response."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

import openai
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.constants import START
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore
from langgraph.types import StateSnapshot

from agent_server.answers.listener import Listener, may_change_answers
from agent_server.answers.outcomes import end, end_early
from agent_server.answers.telling import Teller
from agent_server.answers.traces import tracers
from agent_server.errors import ApiError
from agent_server.identity import User
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.input import to_messages
from agent_server.responses.requests import Turn
from agent_server.responses.tool_calls import ToolCallBound
from agent_server.settings import SettingsError, limit
from agent_server.threads.messages import refused, removals
from agent_server.threads.state import added_by_turn
from agent_server.threads.window import begin

Agent = CompiledStateGraph[Any, User, Any, Any]
Store = BaseStore
# Opens a thread for one turn: takes its key, and the id of the background response or "".
OpenThread = Callable[[str, str], AbstractAsyncContextManager[BaseCheckpointSaver[Any]]]


@dataclass(frozen=True)
class _Run:
    """One run of a graph for a turn, and who tells of it."""

    graph: Agent
    config: RunnableConfig
    turn: Turn
    listener: Listener
    teller: Teller


def check_agent(agent: Agent) -> Agent:
    """Return the agent; raises SettingsError for what can't run turns."""
    if not isinstance(agent, CompiledStateGraph):
        kind = type(agent).__name__
        raise SettingsError(f"build_agent must return a compiled graph, not a {kind}.")
    if "messages" not in agent.channels:
        raise SettingsError("The graph of build_agent has no `messages` in its state to answer in.")
    return agent


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
        teller = Teller(response, may_change_answers(graph.nodes))
        listener = Listener(teller)
        run = _Run(graph, _config(turn, listener), turn, listener, teller)
        incoming, noted = to_messages(turn.items), begin()
        try:
            async with _undone_if_it_fails(graph, run.config, turn):
                await _stream(run, await _input(run, incoming))
                teller.tell_rest()
                await _keep_result(run, response)
                if noted.left_out:
                    response.note(left_out=noted.left_out)
                end(response, teller.last)
        except Exception as error:
            await _end_early(run, incoming, response, error)


async def _end_early(
    run: _Run, incoming: list[AnyMessage], response: ResponseBuilder, error: Exception
) -> None:
    try:
        end_early(response, error, run.listener)
    except (ApiError, openai.BadRequestError, openai.UnprocessableEntityError) as failure:
        refuses = not isinstance(failure, ApiError) or failure.status_code in (400, 413)
        if refuses and run.graph.checkpointer and not run.turn.again:
            await _forget(run.graph, run.config, incoming)
        raise


def _config(turn: Turn, listener: Listener) -> RunnableConfig:
    return {
        "configurable": {"thread_id": turn.thread_key},
        "recursion_limit": 2 * limit("MAX_STEPS"),  # calls to the model, and to tools
        "callbacks": [listener, ToolCallBound(), *tracers()],
        "metadata": {"response_id": turn.response_id, "turn_id": uuid4().hex},
    }


async def _input(run: _Run, incoming: list[AnyMessage]) -> dict[str, Any] | None:
    """Return what the graph is given: None to go on where an earlier attempt was cut off."""
    graph, turn = run.graph, run.turn
    if graph.checkpointer and turn.response_id and await _resumes(run):
        return None
    if "incoming" in graph.channels:  # the middleware TurnInput adds what is new
        return {"incoming": incoming, "again": turn.again}
    held = (await graph.aget_state(run.config)).values if graph.checkpointer else {}
    messages = held.get("messages", [])
    return {"messages": added_by_turn(turn.thread_key, messages, incoming, turn.again)}


async def _stream(run: _Run, sent: dict[str, Any] | None) -> None:
    options: dict[str, Any] = {"context": run.turn.user, "subgraphs": True}
    # With `messages`, models stream; the listener hears what they write.
    streamed = ["messages"] if run.turn.stream else []
    options["stream_mode"] = ["values", "updates", *streamed]
    if run.graph.checkpointer:
        # A background run continues from its last step after a crash.
        options["durability"] = "sync" if run.turn.response_id else "exit"
    # Closed at once, and so the connection to the model, when the response takes no more.
    stream = cast(AsyncGenerator[Any, None], run.graph.astream(sent, run.config, **options))
    begun = set()
    async with aclosing(stream) as events:
        async for place, mode, event in events:
            if mode == "updates":
                run.teller.tell(event)
            elif mode == "values" and place not in begun:  # the state that this graph begins with
                begun.add(place)
                run.teller.know(event)


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


async def _keep_result(run: _Run, response: ResponseBuilder) -> None:
    """Keep the result of a tool that ended the turn as its answer; it would seem unanswered."""
    output = response.body["output"]
    if run.graph.checkpointer and output and output[-1]["type"] == "function_call_output":
        answer = AIMessage(output[-1]["output"], id=str(uuid4()))
        await run.graph.aupdate_state(run.config, {"messages": [answer]}, as_node=START)


async def _resumes(run: _Run) -> bool:
    """Emit what an earlier attempt left in the thread; return False if it left nothing."""
    state = await run.graph.aget_state(run.config)
    same = (state.metadata or {}).get("response_id") == run.turn.response_id
    # Until these steps are done, the user's message is not in the thread.
    if not same or any(node.endswith((START, ".before_agent")) for node in state.next):
        return False
    messages = state.values["messages"]
    last = max(i for i, message in enumerate(messages) if isinstance(message, HumanMessage))
    run.teller.tell(messages[last + 1 :])
    return True
