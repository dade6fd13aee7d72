"""One turn: run the agent on what the user sent, and tell the response what happens."""

from dataclasses import dataclass
from typing import Any

import agents

from agent_server.context import Context
from agent_server.errors import ModelError
from agent_server.requests import Turn
from agent_server.responses import ResponseBuilder
from agent_server.thread_messages import kept_and_new, says, to_text
from agent_server.thread_store import open_thread
from agent_server.threads import signed, stored_answer, to_items

MLFLOW_FLAVOR = "mlflow.openai"
MAX_STEPS = 50
Agent = agents.Agent[Context]
Items = list[agents.TResponseInputItem]
Run = agents.result.RunResultBase

# The SDK would send what users say to OpenAI. MLflow adds a processor of its own when it traces.
agents.set_trace_processors([])


@dataclass(frozen=True)
class Turns:
    """Runs the turns of every user; one per process."""

    agent: Agent
    pool: Any = None
    store: Any = None

    async def check(self) -> None:
        """Raise psycopg.OperationalError unless the database answers within two seconds."""
        if self.pool:
            async with self.pool.connection(timeout=2) as connection:
                await connection.execute("SELECT 1")

    async def run(self, turn: Turn, response: ResponseBuilder) -> None:
        """Run one turn, and tell `response` what the model and the tools say as they say it."""
        async with open_thread(self.pool, turn.thread_key, turn.response_id) as thread:
            held = await thread.get_items() if thread else []
            if stored := stored_answer(held, turn.response_id):
                for item in stored:
                    _tell_item(item, response)
                return response.complete()
            kept, new = kept_and_new(held, to_items(turn.items), turn.again)
            context, items = Context(turn.user, self.store), [*kept, *new]
            try:
                run = await (_stream if turn.stream else _run)(self.agent, items, context, response)
            except (agents.MaxTurnsExceeded, agents.ModelBehaviorError) as error:
                raise ModelError("the model came to no answer") from error
            if thread:
                # The whole turn at once: one that fails leaves nothing behind.
                told = [item for made in run.new_items if says(item := made.to_input_item())]
                added = [*new, *signed(told, turn.response_id)]
                await thread.add_items(added, instead_of=len(held) - len(kept))
        usage = run.context_wrapper.usage
        response.count(usage.input_tokens, usage.output_tokens)
        response.complete()


async def _run(agent: Agent, items: Items, context: Context, response: ResponseBuilder) -> Run:
    run = await agents.Runner.run(agent, items, context=context, max_turns=MAX_STEPS)
    for item in run.new_items:
        _tell_item(item.to_input_item(), response)
    return run


async def _stream(agent: Agent, items: Items, context: Context, response: ResponseBuilder) -> Run:
    run = agents.Runner.run_streamed(agent, items, context=context, max_turns=MAX_STEPS)
    try:
        async for event in run.stream_events():
            _tell(event, response)
    finally:
        # Without it the model goes on talking to a reader who left; twice would break off its end.
        if run.run_loop_task and not run.run_loop_task.cancelling():
            run.cancel()
    return run


def _tell(event: agents.StreamEvent, response: ResponseBuilder) -> None:
    if event.type == "raw_response_event":
        if event.data.type == "response.output_text.delta" and event.data.delta:
            response.text(event.data.delta)
    elif event.type == "run_item_stream_event":
        _tell_item(event.item.to_input_item(), response)


def _tell_item(item: Any, response: ResponseBuilder) -> None:
    match item.get("type", "message"):
        case "message":
            response.end_text(to_text(item.get("content")))
        case "function_call":
            response.tool_call(item["call_id"], item["name"], item["arguments"])
        case "function_call_output":
            response.tool_output(item["call_id"], to_text(item["output"]))
