"""One turn: run the agent on what the user sent, and tell the response what happens."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import agents
from agents import ItemHelpers, MessageOutputItem, Runner, ToolCallItem, ToolCallOutputItem
from openai.types.responses import ResponseFunctionToolCall

from agent_server.context import Context
from agent_server.requests import Turn
from agent_server.responses import Event, ResponseBuilder
from agent_server.threads import held_items, new_items

MLFLOW_FLAVOR = "mlflow.openai"
OpenThread = Callable[[str], AbstractAsyncContextManager[agents.Session | None]]
MAX_STEPS = 50

# The SDK would send what users say to OpenAI. MLflow adds a processor of its own when it traces.
agents.set_trace_processors([])


def no_thread(_thread_key: str) -> AbstractAsyncContextManager[agents.Session | None]:
    """Open nothing: without short-term memory, each turn stands alone."""
    return nullcontext()


class Turns:
    """Runs the turns of every user; one per process."""

    def __init__(
        self,
        agent: agents.Agent[Context],
        open_thread: OpenThread = no_thread,
        store: Any = None,
    ) -> None:
        self._agent = agent
        self._open_thread = open_thread
        self._store = store

    async def run(self, turn: Turn, response: ResponseBuilder) -> AsyncGenerator[Event]:
        """Yield the events of a turn, as the model and the tools produce them."""
        async with self._open_thread(turn.thread_key) as session:
            held = await held_items(session)
            new = new_items(held, turn.items)
            context, items = Context(turn.user, self._store), [*held, *new]
            run = Runner.run_streamed(self._agent, items, context=context, max_turns=MAX_STEPS)
            try:
                async for item in run.stream_events():
                    for event in _to_events(item, response):
                        yield event
            finally:
                # Without it the model goes on talking to a reader who left.
                run.cancel()
            if session:
                # The whole turn at once: one that fails leaves nothing behind.
                await session.add_items([*new, *(i.to_input_item() for i in run.new_items)])
        usage = run.context_wrapper.usage
        response.count(usage.input_tokens, usage.output_tokens)
        for event in response.completed():
            yield event


def _to_events(event: agents.StreamEvent, response: ResponseBuilder) -> Iterator[Event]:
    if event.type == "raw_response_event":
        if event.data.type == "response.output_text.delta":
            yield from response.text(event.data.delta)
    elif event.type == "run_item_stream_event":
        yield from _item_events(event.item, response)


def _item_events(item: agents.RunItem, response: ResponseBuilder) -> Iterator[Event]:
    match item:
        case MessageOutputItem():
            yield from response.end_text(ItemHelpers.text_message_output(item))
        case ToolCallItem(raw_item=ResponseFunctionToolCall() as call):
            yield from response.tool_call(call.call_id, call.name, call.arguments)
        case ToolCallOutputItem():
            yield from response.tool_output(str(item.call_id), str(item.output))
