"""Where a run waits for a person's yes, and how it goes on."""

import json
from collections.abc import Sequence
from typing import Any, cast

import agents
from agents.items import ToolApprovalItem

from agent_server.answers.agents import reachable
from agent_server.approvals.calls import NOT_APPROVED, Call, Pause
from agent_server.context import Context
from agent_server.database.text import to_storable, to_storable_json
from agent_server.errors import ApiError

Agent = agents.Agent[Context]
Items = Sequence[agents.TResponseInputItem]
Result = agents.RunResult | agents.RunResultStreaming
State = agents.RunState[Context, Agent]


def may_pause(first: Agent) -> bool:
    """Return whether a tool of the agent, or of one it hands over to, has `needs_approval`."""
    tools = [tool for agent in reachable(first) for tool in agent.tools]
    return any(getattr(tool, "needs_approval", False) for tool in tools)


def to_calls(waits: Sequence[ToolApprovalItem]) -> list[Call]:
    """Return the calls that a run waits for, in order."""
    return [
        Call(
            to_storable(item.name or "unknown"),
            to_storable_json(item.arguments or "{}"),
            str(item.call_id),
        )
        for item in waits
    ]


def to_state(result: Any, held: int) -> str:
    """Return what is needed to continue a run, as JSON; its session has `held` items."""
    # The user comes from the request that continues it, and from nowhere else.
    run = result.to_state().to_json(context_serializer=lambda _: {})
    run["context"].pop("usage", None)  # told with the response that asks
    return json.dumps({"held": held, "made": len(to_made(result.new_items)), "run": run})


def to_made(items: Sequence[agents.items.RunItem]) -> Sequence[agents.items.RunItem]:
    """Return the items of a run that have a place in its session."""
    return [item for item in items if not isinstance(item, ToolApprovalItem)]


async def to_run(agent: Agent, pause: Pause, context: Context, held: int) -> tuple[State, int]:
    """Return the run to continue, with the answers in it, and how many items it has made.

    Raises a 409 ApiError when the session has changed since, or the agent no longer fits.
    """
    kept = json.loads(pause.state)
    if kept["held"] != held:
        raise ApiError(409, "already_decided", "The conversation has gone on since this was asked.")
    try:
        wrapped = agents.RunContextWrapper(context)
        run = {**kept["run"], "original_input": list(map(_as_sent, kept["run"]["original_input"]))}
        state = await agents.RunState.from_json(agent, run, context_override=wrapped)
    except (agents.UserError, ValueError, KeyError) as error:
        text = "The agent has changed since this was asked. Ask it again."
        raise ApiError(410, "approval_expired", text) from error
    waits = {item.call_id: item for item in state.get_interruptions()}
    for approval in pause.approvals:
        item = waits[approval.call.place]
        if approval.approve:
            state.approve(item)
        else:
            state.reject(item, rejection_message=_why(approval.reason))
    return cast(State, state), int(kept["made"])


def refused(held: Items) -> list[agents.TResponseInputItem]:
    """Return results that say no, for the calls of the last turn that have none."""
    asked = max((i for i, item in enumerate(held) if item.get("role") == "user"), default=-1)
    last = held[asked + 1 :]
    done = {item.get("call_id") for item in last if item.get("type") == "function_call_output"}
    calls = [item.get("call_id") for item in last if item.get("type") == "function_call"]
    open_ids = [call_id for call_id in calls if call_id not in done]
    return [
        cast(
            agents.TResponseInputItem,
            {"type": "function_call_output", "call_id": call_id, "output": NOT_APPROVED},
        )
        for call_id in open_ids
    ]


def _as_sent(item: Any) -> Any:
    """Return the text alone of an answer: the SDK keeps it in a shape that it then refuses."""
    match item:
        case {"role": "assistant", "content": [{"type": "output_text", "text": str(text)}], **more}:
            return item if "id" in more else {"role": "assistant", "content": text}
    return item


def _why(reason: str) -> str:
    return f"{NOT_APPROVED} Their reason: {reason}" if reason else NOT_APPROVED
