"""Runs the agent for one turn, and emits its output to the response."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Any, Protocol

import agents

from agent_server import context
from agent_server.context import Context
from agent_server.errors import ModelError
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.input import to_items
from agent_server.responses.requests import Turn
from agent_server.responses.tool_calls import ToolCallBound
from agent_server.settings import SettingsError, limit
from agent_server.threads.messages import clean, kept_and_new, says, signed, stored_answer, to_text

MLFLOW_FLAVOR = "mlflow.openai"
Agent = agents.Agent[Context]
Store = context.Store
Items = list[agents.TResponseInputItem]
Run = agents.result.RunResultBase

# The SDK would send conversations to OpenAI. MLflow adds its own processor when it traces.
agents.set_trace_processors([])


class OpenedThread(Protocol):
    """A session, which a turn has to itself (see `threads/store.py`)."""

    async def get_items(self) -> Items:
        """Return the items of the session, oldest first."""

    async def add_items(
        self, items: Sequence[agents.TResponseInputItem], instead_of: int = 0
    ) -> None:
        """Replace the last `instead_of` items with `items`."""


# Opens a thread for one turn: takes its key, and the id of the background response or "".
OpenThread = Callable[[str, str], AbstractAsyncContextManager[OpenedThread]]


def check_agent(agent: Agent) -> None:
    """Raise SettingsError for what can't run turns."""
    if not isinstance(agent, agents.Agent):
        raise SettingsError(f"build_agent must return an Agent, not a {type(agent).__name__}.")


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
            for item in stored:
                _emit_item(item, response)
            return response.complete()
        kept, new = kept_and_new(held, to_items(turn.items), turn.again)
        run = await _run(agent, [*kept, *new], Context(turn.user, store), turn, response)
        if thread:
            # The whole turn at once: a turn that fails leaves nothing behind.
            said = [clean(item) for made in run.new_items if says(item := made.to_input_item())]
            added = [*new, *signed(said, turn.response_id)]
            await thread.add_items(added, instead_of=len(held) - len(kept))
    usage = run.context_wrapper.usage
    response.count(usage.input_tokens, usage.output_tokens)
    response.complete()


async def _run(
    agent: Agent, items: Items, context: Context, turn: Turn, response: ResponseBuilder
) -> Run:
    run = _run_streamed if turn.stream else _run_whole
    try:
        return await run(agent, items, context, response)
    except (agents.MaxTurnsExceeded, agents.ModelBehaviorError) as error:
        raise ModelError("the model reached no answer") from error


async def _run_whole(
    agent: Agent, items: Items, context: Context, response: ResponseBuilder
) -> Run:
    run = await agents.Runner.run(
        agent,
        items,
        context=context,
        max_turns=limit("MAX_STEPS"),
        hooks=ToolCallBound(),
        run_config=_config(items),
    )
    for item in run.new_items:
        _emit_item(item.to_input_item(), response)
    return run


async def _run_streamed(
    agent: Agent, items: Items, context: Context, response: ResponseBuilder
) -> Run:
    bound = ToolCallBound()
    run = agents.Runner.run_streamed(
        agent,
        items,
        context=context,
        max_turns=limit("MAX_STEPS"),
        hooks=bound,
        run_config=_config(items),
    )
    try:
        async for event in run.stream_events():
            bound.count(event)
            _emit(event, response)
    finally:
        await _end(run)
    turn = asyncio.current_task()
    if turn and turn.cancelling():  # the SDK drops a cancellation that comes when the run ends
        raise asyncio.CancelledError
    return run


async def _end(run: agents.RunResultStreaming) -> None:
    """Wait for the end of a run, whose model would otherwise go on without reader and lease."""
    task = run.run_loop_task
    if task and not task.cancelling():
        run.cancel()
    while task and not task.done():
        await asyncio.wait([task], timeout=limit("CANCEL_SECONDS"))
        task.cancel()


def _config(held: Items) -> agents.RunConfig:
    """Return what cleans all that the run adds to `held` before the model is sent it."""

    def clean_new(data: agents.run.CallModelData[Any]) -> agents.run.ModelInputData:
        sent = data.model_data
        new = [clean(item) for item in sent.input[len(held) :]]
        return replace(sent, input=[*sent.input[: len(held)], *new])

    return agents.RunConfig(call_model_input_filter=clean_new)


def _emit(event: agents.StreamEvent, response: ResponseBuilder) -> None:
    if event.type == "raw_response_event":
        if event.data.type == "response.output_text.delta" and event.data.delta:
            response.text(event.data.delta)
    elif event.type == "run_item_stream_event":
        _emit_item(event.item.to_input_item(), response)


def _emit_item(item: Any, response: ResponseBuilder) -> None:
    match item.get("type", "message"):
        case "message":
            response.end_text(to_text(item.get("content")))
        case "function_call":
            response.tool_call(item["call_id"], item["name"], item["arguments"])
        case "function_call_output":
            response.tool_output(item["call_id"], to_text(item["output"]))
