"""Runs the agent for one turn, and emits its output to the response."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

import openai
from langchain_core.messages import AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.constants import START
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.base import BaseStore
from langgraph.types import Command

from agent_server.answers.listener import Listener, may_change_answers
from agent_server.answers.outcomes import end, end_early
from agent_server.answers.telling import Teller
from agent_server.answers.traces import tracers
from agent_server.approvals.calls import NOT_APPROVED, Approvals, Pause, ask_for
from agent_server.approvals.pausing import may_pause, to_answers, waiting_calls
from agent_server.errors import ApiError
from agent_server.identity import User
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.input import to_messages
from agent_server.responses.requests import Turn
from agent_server.responses.tool_calls import ToolCallBound
from agent_server.settings import SettingsError, has, limit
from agent_server.threads.changes import answer_open_calls, forget, keep_answer, undone_if_it_fails
from agent_server.threads.state import added_by_turn
from agent_server.threads.window import begin

INTERRUPT = "__interrupt__"  # in an update, beside the names of nodes
Agent = CompiledStateGraph[Any, User, Any, Any]
Store = BaseStore
# Opens a thread for one turn: takes its key, and the id of the background response or "".
OpenThread = Callable[[str, str], AbstractAsyncContextManager[BaseCheckpointSaver[Any]]]


@dataclass(frozen=True)
class Checked:
    """A graph that can run turns, and what is known of it."""

    graph: Agent
    may_pause: bool  # for approvals


@dataclass(frozen=True)
class _Run:
    """One run of a graph for a turn, and who tells of it."""

    checked: Checked
    graph: Agent  # with the thread
    config: RunnableConfig
    turn: Turn
    listener: Listener
    teller: Teller
    approvals: Approvals | None


def check_agent(agent: Agent) -> Checked:
    """Return the agent; raises SettingsError for what can't run turns."""
    if not isinstance(agent, CompiledStateGraph):
        kind = type(agent).__name__
        raise SettingsError(f"build_agent must return a compiled graph, not a {kind}.")
    if "messages" not in agent.channels:
        raise SettingsError("The graph of build_agent has no `messages` in its state to answer in.")
    checked = Checked(agent, may_pause(agent))
    if checked.may_pause and not has("short_term"):
        raise SettingsError("HumanInTheLoopMiddleware needs short_term memory: see README.md.")
    return checked


async def run_turn(
    checked: Checked,
    open_thread: OpenThread | None,
    store: Store | None,
    approvals: Approvals | None,
    turn: Turn,
    response: ResponseBuilder,
) -> None:
    """Run one turn, and emit the output of the model and the tools to `response` as it arrives.

    Raises ModelError, and whatever the model, the tools and the database raise.
    """
    opened = open_thread(turn.thread_key, turn.response_id) if open_thread else nullcontext()
    async with opened as checkpointer:
        graph = checked.graph.copy({"checkpointer": checkpointer, "store": store})
        teller = Teller(response, may_change_answers(graph.nodes))
        listener = Listener(teller)
        run = _Run(checked, graph, _config(turn, listener), turn, listener, teller, approvals)
        incoming, noted = to_messages(turn.items), begin()
        async with undone_if_it_fails(graph, run.config, turn):
            try:
                await _run_or_wait(run, incoming, response)
                response.note(**noted.told)
                end(response, teller.last)
            except Exception as error:
                await _end_early(run, incoming, response, error)


async def _run_or_wait(run: _Run, incoming: list[AnyMessage], response: ResponseBuilder) -> None:
    """Run the graph to its end, or until it waits for approvals, which the response asks for."""
    pause = Pause()
    if run.approvals and run.turn.approvals:
        pause = await run.approvals.decide(run.turn)
    if not pause.undecided and await _stream(run, await _input(run, incoming, pause)):
        last, calls = await waiting_calls(run.graph, run.config)
        if run.approvals is None:
            raise SettingsError("A graph that waits for approvals needs short_term memory.")
        pause = await run.approvals.pause(run.turn, last, calls)
    run.teller.tell_rest(waits=bool(pause.undecided))
    ask_for(response, pause.undecided)
    output = response.body["output"]
    if run.graph.checkpointer and output and output[-1]["type"] == "function_call_output":
        await keep_answer(run.graph, run.config, output[-1]["output"])


async def _end_early(
    run: _Run, incoming: list[AnyMessage], response: ResponseBuilder, error: Exception
) -> None:
    try:
        end_early(response, error, run.listener)
    except (ApiError, openai.BadRequestError, openai.UnprocessableEntityError) as failure:
        refuses = not isinstance(failure, ApiError) or failure.status_code in (400, 413)
        if refuses and run.graph.checkpointer and not run.turn.again:
            await forget(run.graph, run.config, incoming)
        raise


def _config(turn: Turn, listener: Listener) -> RunnableConfig:
    return {
        "configurable": {"thread_id": turn.thread_key},
        "recursion_limit": 2 * limit("MAX_STEPS"),  # calls to the model, and to tools
        "callbacks": [listener, ToolCallBound(), *tracers()],
        "metadata": {"response_id": turn.response_id, "turn_id": uuid4().hex},
    }


async def _input(
    run: _Run, incoming: list[AnyMessage], pause: Pause
) -> dict[str, Any] | Command[Any] | None:
    """Return what the graph is given: None to go on where an earlier attempt was cut off."""
    graph, turn = run.graph, run.turn
    replaced = to_messages([turn.replaces.question]) if turn.replaces else []
    if graph.checkpointer and turn.response_id and await _resumes(run, pause.state):
        return None
    if turn.approvals:
        command, state = await to_answers(graph, run.config, pause)
        run.teller.expect(state)
        return command
    if run.approvals and run.checked.may_pause and await run.approvals.dismiss(turn):
        await answer_open_calls(graph, run.config, NOT_APPROVED)
    how: dict[str, Any] = {"again": turn.again, "replaced": replaced, "unfinished": turn.unfinished}
    if "incoming" in graph.channels:  # the middleware TurnInput adds what is new
        return {"incoming": incoming, **how}
    held = (await graph.aget_state(run.config)).values if graph.checkpointer else {}
    return {"messages": added_by_turn(turn.thread_key, held.get("messages", []), incoming, **how)}


async def _stream(run: _Run, sent: dict[str, Any] | Command[Any] | None) -> bool:
    """Run the graph, and tell what it says; return whether it waits for somebody."""
    options: dict[str, Any] = {"context": run.turn.user, "subgraphs": True}
    # With `messages`, models stream; the listener hears what they write.
    options["stream_mode"] = ["values", "updates", *(["messages"] if run.turn.stream else [])]
    if run.graph.checkpointer:
        # A background run continues from its last step after a crash.
        options["durability"] = "sync" if run.turn.response_id else "exit"
    # Closed at once, and so the connection to the model, when the response takes no more.
    stream = cast(AsyncGenerator[Any, None], run.graph.astream(sent, run.config, **options))
    begun, waits = set(), False
    async with aclosing(stream) as events:
        async for place, mode, event in events:
            if mode == "updates":
                waits = waits or INTERRUPT in event
                run.teller.tell(event)
            elif mode == "values" and place not in begun:  # the state that this graph begins with
                begun.add(place)
                run.teller.know(event)
    return waits


async def _resumes(run: _Run, told: str = "") -> bool:
    """Emit what an earlier attempt left in the thread; return False if it left nothing.

    `told` is the id of the last message before this turn, if it began with no question.
    """
    state = await run.graph.aget_state(run.config)
    same = (state.metadata or {}).get("response_id") == run.turn.response_id
    # Until these steps are done, the user's message is not in the thread.
    if not same or any(node.endswith((START, ".before_agent")) for node in state.next):
        return False
    messages = state.values["messages"]
    last = max(
        i for i, m in enumerate(messages) if (m.id == told if told else isinstance(m, HumanMessage))
    )
    run.teller.tell(messages[last + 1 :])
    return True
