"""Which agent answers a turn, and what its owner chose for the run."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import agents
from agents.run import CallModelData, ModelInputData

import agent_server.agent
from agent_server.context import Context
from agent_server.threads.messages import clean, needs_reasoning

Agent = agents.Agent[Context]
Items = Sequence[agents.TResponseInputItem]


def last_agent(first: Agent, held: Items, before: str = "") -> Agent:
    """Return the agent that the handoffs in a session led to.

    `before` is the name of the one that answered before `held`; "" or an unknown one is the first.
    """
    named = (one for one in reachable(first) if one.name == before)
    agent, decided = (next(named, first) if before else first), False
    for item in held:
        if item.get("type") != "function_call":
            decided = False
        elif not decided and (found := _handed_to(agent, str(item.get("name")))):
            # Of several at once, the SDK takes the first.
            agent, decided = found, True
    return agent


def has_guards(first: Agent, config: agents.RunConfig) -> bool:
    """Return whether a guardrail may refuse what is asked or answered in a run."""
    guards = [config.input_guardrails, config.output_guardrails]
    for agent in reachable(first):
        guards += [agent.input_guardrails, agent.output_guardrails]
    return any(guards)


def build_run_config(held: Items) -> agents.RunConfig:
    """Return the owner's `run_config()` of agent.py, if there is one, with what is ours.

    All that the run adds to `held` is cleaned before the model is sent it. A tool that does not
    exist is told to the model.
    """
    build = getattr(agent_server.agent, "run_config", None)
    config: agents.RunConfig = build() if build else agents.RunConfig()
    theirs = config.call_model_input_filter

    async def clean_new(data: CallModelData[Any]) -> ModelInputData:
        sent = data.model_data
        new = [clean(item) for item in sent.input[len(held) :]]
        items = [*sent.input[: len(held)], *new]
        kept = [one for one in items if one.get("type") != "reasoning" or needs_reasoning(one)]
        data = replace(data, model_data=replace(sent, input=kept))
        if theirs is None:
            return data.model_data
        filtered = theirs(data)
        return filtered if isinstance(filtered, ModelInputData) else await filtered

    ours: dict[str, Any] = {"tool_not_found_behavior": "return_error_to_model"}
    return replace(config, call_model_input_filter=clean_new, **ours)


def reachable(first: Agent) -> Iterator[Agent]:
    """Yield the agent, and those that handoffs lead to."""
    seen, waiting = {id(first)}, deque([first])
    while waiting:
        agent = waiting.popleft()
        yield agent
        for handoff in agent.handoffs:
            found = handoff if isinstance(handoff, agents.Agent) else _agent_of(handoff)
            if found and id(found) not in seen:
                seen.add(id(found))
                waiting.append(found)


def _handed_to(agent: Agent, tool: str) -> Agent | None:
    for handoff in agent.handoffs:
        if isinstance(handoff, agents.Agent):
            if agents.Handoff.default_tool_name(handoff) == tool:
                return handoff
        elif handoff.tool_name == tool:
            return _agent_of(handoff)
    return None


def _agent_of(handoff: Any) -> Agent | None:
    found = getattr(handoff, "_agent_ref", lambda: None)
    return cast(Agent | None, found() if callable(found) else None)
