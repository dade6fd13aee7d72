"""One run of an agent, told while it goes on."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import agents

from agent_server.answers.agents import build_run_config, has_guards
from agent_server.answers.completions import Heard, heard
from agent_server.answers.outcomes import end_early
from agent_server.answers.telling import Teller
from agent_server.approvals.pausing import Agent, Items, Result, State, to_made
from agent_server.context import Context
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.tool_calls import ToolCallBound
from agent_server.settings import limit

Made = Sequence[agents.items.RunItem]


@dataclass(frozen=True)
class Run:
    """One run of an agent for a turn, and who tells of it."""

    agent: Agent
    sent: list[agents.TResponseInputItem] | State
    options: dict[str, Any]
    hooks: ToolCallBound
    heard: Heard
    teller: Teller
    answers: Agent  # the one that does when it begins
    kept: int  # items of the session
    new: Sequence[agents.TResponseInputItem]  # for the session, before what the run makes
    made: int = 0  # items that it had made when it stopped to wait


def build_run(
    build: Callable[..., Run],
    agent: Agent,
    items: Items,
    context: Context,
    response: ResponseBuilder,
) -> Run:
    config, hooks, beside = build_run_config(items), ToolCallBound(), Heard()
    heard.set(beside)  # the turn has a context of its own
    options = {"context": context, "max_turns": limit("MAX_STEPS"), "hooks": hooks}
    teller = Teller(response, beside, has_guards(agent, config))
    hooks.on_begin = teller.begin_call
    return build({**options, "run_config": config}, hooks, beside, teller)


async def run_agent(
    run: Run, stream: bool, response: ResponseBuilder
) -> tuple[Made, Result | None]:
    """Return what the run made, and its result if it waits for approvals.

    Raises what `end_early` makes of an error.
    """
    waits = None
    try:
        result = await (_run_streamed if stream else _run_whole)(run)
        made, usage = to_made(result.new_items), result.context_wrapper.usage
        waits = result if result.interruptions else None
    except Exception as error:
        end_early(response, error, run.hooks)
        details = getattr(error, "run_data", None)
        if details is None:
            return [], None
        made, usage = to_made(details.new_items), details.context_wrapper.usage
        if not stream:
            _tell_all(run, made[run.made :])
    run.teller.tell_rest(waits=waits is not None)
    cached = usage.input_tokens_details.cached_tokens or 0
    thought = usage.output_tokens_details.reasoning_tokens or 0
    response.count(usage.input_tokens, usage.output_tokens, cached=cached, reasoning=thought)
    return made, waits


async def _run_whole(run: Run) -> Result:
    result = await agents.Runner.run(run.agent, run.sent, **run.options)
    _tell_all(run, to_made(result.new_items)[run.made :])
    return result


def _tell_all(run: Run, made: Made) -> None:
    for item in made:
        run.teller.tell(item.to_input_item())


async def _run_streamed(run: Run) -> Result:
    result = agents.Runner.run_streamed(run.agent, run.sent, **run.options)
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
