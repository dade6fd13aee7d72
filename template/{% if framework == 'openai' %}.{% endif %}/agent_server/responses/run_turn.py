"""Runs the agent for one turn, and emits its output to the response."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import agents

from agent_server import context
from agent_server.answers.agents import build_run_config, has_guards, last_agent
from agent_server.answers.completions import Heard, heard
from agent_server.answers.outcomes import end, end_early
from agent_server.answers.telling import Teller
from agent_server.answers.traces import Traces
from agent_server.context import Context
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.input import to_items
from agent_server.responses.requests import Turn
from agent_server.responses.tool_calls import ToolCallBound
from agent_server.settings import SettingsError, limit
from agent_server.threads.messages import clean, kept_and_new, says, signed, stored_answer
from agent_server.threads.window import begin

Agent = agents.Agent[Context]
Store = context.Store
Items = list[agents.TResponseInputItem]
Made = Sequence[agents.items.RunItem]

# The SDK would send conversations to OpenAI.
agents.set_trace_processors([Traces()])


class OpenedThread(Protocol):
    """A session, which a turn has to itself (see `threads/store.py`)."""

    left_out: int  # items before those that were read

    async def get_items(self) -> Items:
        """Return the newest whole turns of the session, oldest first."""

    async def add_items(
        self, items: Sequence[agents.TResponseInputItem], instead_of: int = 0
    ) -> None:
        """Replace the last `instead_of` items with `items`."""


# Opens a thread for one turn: takes its key, and the id of the background response or "".
OpenThread = Callable[[str, str], AbstractAsyncContextManager[OpenedThread]]


def check_agent(agent: Agent) -> Agent:
    """Return the agent; raises SettingsError for what can't run turns."""
    if not isinstance(agent, agents.Agent):
        raise SettingsError(f"build_agent must return an Agent, not a {type(agent).__name__}.")
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
    async with opened as thread:
        held = await thread.get_items() if thread else []
        if stored := stored_answer(held, turn.response_id):
            teller = Teller(response, Heard(), holds=False)
            for item in stored:
                teller.tell(item)
            return response.complete()
        noted = begin()
        noted.before = thread.left_out if thread else 0
        kept, new = kept_and_new(held, to_items(turn.items), turn.again, bool(noted.before))
        run = _build_run(agent, [*kept, *new], Context(turn.user, store), response)
        made = await _run(run, turn.stream, response)
        answer = end(response, run.heard)
        if noted.left_out:
            response.note(left_out=noted.left_out)
        if thread:
            # The whole turn at once: a turn that fails leaves nothing behind.
            said = [clean(item) for one in made if says(item := one.to_input_item())]
            added = [*new, *signed([*said, *answer], turn.response_id)]
            await thread.add_items(added, instead_of=len(held) - len(kept))
    response.complete()


@dataclass(frozen=True)
class _Run:
    """One run of an agent for a turn, and who tells of it."""

    agent: Agent
    items: Items
    options: dict[str, Any]
    hooks: ToolCallBound
    heard: Heard
    teller: Teller


def _build_run(agent: Agent, items: Items, context: Context, response: ResponseBuilder) -> _Run:
    config, hooks, beside = build_run_config(items), ToolCallBound(), Heard()
    heard.set(beside)  # the turn has a context of its own
    options = {"context": context, "max_turns": limit("MAX_STEPS"), "hooks": hooks}
    teller = Teller(response, beside, has_guards(agent, config))
    speaks = last_agent(agent, items)
    return _Run(speaks, items, {**options, "run_config": config}, hooks, beside, teller)


async def _run(run: _Run, stream: bool, response: ResponseBuilder) -> Made:
    """Return what the run made; raises what `end_early` makes of an error."""
    try:
        result = await (_run_streamed if stream else _run_whole)(run)
        made, usage = result.new_items, result.context_wrapper.usage
    except Exception as error:
        end_early(response, error, run.hooks)
        details = getattr(error, "run_data", None)
        if details is None:
            return []
        made, usage = details.new_items, details.context_wrapper.usage
        if not stream:
            _tell_all(run, made)
    run.teller.tell_held()
    cached = usage.input_tokens_details.cached_tokens or 0
    thought = usage.output_tokens_details.reasoning_tokens or 0
    response.count(usage.input_tokens, usage.output_tokens, cached=cached, reasoning=thought)
    return made


async def _run_whole(run: _Run) -> agents.result.RunResultBase:
    result = await agents.Runner.run(run.agent, run.items, **run.options)
    _tell_all(run, result.new_items)
    return result


def _tell_all(run: _Run, made: Made) -> None:
    for item in made:
        run.teller.tell(item.to_input_item())


async def _run_streamed(run: _Run) -> agents.result.RunResultBase:
    result = agents.Runner.run_streamed(run.agent, run.items, **run.options)
    try:
        async for event in result.stream_events():
            run.hooks.count(event)
            run.teller.hear(event)
    finally:
        await _end(result)
    turn = asyncio.current_task()
    if turn and turn.cancelling():  # the SDK drops a cancellation that comes when the run ends
        raise asyncio.CancelledError
    return result


async def _end(run: agents.RunResultStreaming) -> None:
    """Wait for the end of a run, whose model would otherwise go on without reader and lease."""
    task = run.run_loop_task
    if task and not task.cancelling():
        run.cancel()
    while task and not task.done():
        await asyncio.wait([task], timeout=limit("CANCEL_SECONDS"))
        task.cancel()
