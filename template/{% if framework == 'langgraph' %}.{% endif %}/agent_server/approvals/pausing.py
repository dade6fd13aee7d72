"""Where a graph waits for a person's yes, and how it is told the answer."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, Interrupt

from agent_server.approvals.calls import Approval, Call, Pause
from agent_server.database.text import to_storable
from agent_server.errors import ApiError

Graph = CompiledStateGraph[Any, Any, Any, Any]
# The name of its nodes; the graph itself can't be asked.
MIDDLEWARE = "HumanInTheLoopMiddleware"
# How a call is named that a node of the owner's, and not that middleware, asks to approve.
UNNAMED = "approve"


def may_pause(graph: Graph) -> bool:
    """Return whether LangChain's `HumanInTheLoopMiddleware` may stop the graph, or one in it."""
    inner = [found for _, found in graph.get_subgraphs(recurse=True)]
    names = [name for found in (graph, *inner) for name in getattr(found, "nodes", ())]
    return any(name.startswith(MIDDLEWARE) for name in names)


async def waiting_calls(graph: Graph, config: RunnableConfig) -> tuple[str, list[Call]]:
    """Return the id of the last message of a graph that waits, and the calls it waits for."""
    state = await graph.aget_state(config)
    messages = state.values.get("messages") or []
    calls = [call for interrupt in state.interrupts for call in _calls(interrupt)]
    return str(messages[-1].id) if messages else "", calls


async def to_answers(
    graph: Graph, config: RunnableConfig, pause: Pause
) -> tuple[Command[Any], dict[str, Any]]:
    """Return what tells a graph the answers, and the state it waits in.

    Raises a 409 ApiError if it does not wait for them any more.
    """
    state, command = await graph.aget_state(config), _to_command(pause)
    waits = {interrupt.id for interrupt in state.interrupts}
    if not waits >= cast(dict[str, Any], command.resume).keys():
        raise ApiError(409, "already_decided", "The conversation has gone on since this was asked.")
    return command, state.values


def _to_command(pause: Pause) -> Command[Any]:
    answers: dict[str, Any] = {}
    for approval in pause.approvals:
        place = json.loads(approval.call.place)
        match place:
            case {"interrupt": key, "batch": True}:
                batch = answers.setdefault(key, {"decisions": []})
                batch["decisions"].append(_decision(approval, place["allowed"]))
            case {"interrupt": key, "allowed": [*allowed]}:
                answers[key] = _decision(approval, allowed)
            case _:
                answers[place["interrupt"]] = approval.approve
    return Command(resume=answers)


def _calls(interrupt: Interrupt) -> Iterator[Call]:
    """Yield the calls of an interrupt: of the middleware's two kinds, or of a node's own."""
    match interrupt.value:
        case {"action_requests": [*asked], "review_configs": [*configs]}:
            for action, config in zip(asked, configs, strict=True):
                rest = {"batch": True, "allowed": config["allowed_decisions"]}
                yield _call(interrupt, action["name"], action["args"], rest)
        case {"type": "tool_approval", "name": str(name), "args": arguments}:
            schema = getattr(interrupt, "response_schema", None)
            yield _call(interrupt, name, arguments, {"allowed": sorted(_types(schema))})
        case value:
            shown = value if isinstance(value, dict) else {"value": value}
            yield _call(interrupt, UNNAMED, shown, {})


def _call(interrupt: Interrupt, name: str, arguments: Any, rest: dict[str, Any]) -> Call:
    text = to_storable(json.dumps(arguments, default=str))
    return Call(to_storable(name), text, json.dumps({"interrupt": interrupt.id, **rest}))


def _decision(approval: Approval, allowed: Sequence[str]) -> dict[str, str]:
    """Return an answer as the middleware takes it: some tools may only be answered in words."""
    kind = "approve" if approval.approve else "reject"
    if kind not in allowed and "respond" in allowed:
        said = approval.reason or ("Yes." if approval.approve else "No.")
        return {"type": "respond", "message": said}
    reason = {"message": approval.reason} if approval.reason and not approval.approve else {}
    return {"type": kind, **reason}


def _types(schema: Any) -> set[str]:
    """Return the types of decisions in a JSON schema."""
    if isinstance(schema, list):
        return {name for part in schema for name in _types(part)}
    if not isinstance(schema, dict):
        return set()
    own = schema.get("properties", {}).get("type", {}).get("const")
    inner = {name for part in schema.values() for name in _types(part)}
    return inner | ({own} if isinstance(own, str) else set())
