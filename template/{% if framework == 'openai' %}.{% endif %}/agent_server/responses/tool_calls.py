"""Bounds how many tools a model may call at once: they all run, before anything else is said."""

from collections.abc import Callable
from typing import Any

import agents

from agent_server.context import Context
from agent_server.errors import ApiError
from agent_server.settings import limit

Agent = agents.Agent[Context]


class ToolCallBound(agents.RunHooks[Context]):
    """Ends a turn in which the model makes too many tool calls in one answer."""

    def __init__(self) -> None:
        self._begun = 0  # calls of the answer that is streamed
        self._running: list[str] = []  # names of tools
        self.on_begin: Callable[[str], None] = _ignore  # a call, by its id

    @property
    def failed_tool(self) -> str:
        """The name of a tool that has not ended, if there is one."""
        return next(iter(self._running), "")

    async def on_tool_start(self, context: Any, agent: Any, tool: agents.Tool) -> None:
        """Note a tool that runs."""
        self._running.append(tool.name)
        self.on_begin(str(getattr(context, "tool_call_id", "")))

    async def on_tool_end(
        self, context: Any, agent: Any, tool: agents.Tool, result: object
    ) -> None:
        """Note that a tool has ended."""
        if tool.name in self._running:  # not of a run that waited: its tool has begun before
            self._running.remove(tool.name)

    def count(self, event: agents.StreamEvent) -> None:
        """Count a call that begins; raises a 502 ApiError as soon as there are too many."""
        if event.type == "raw_response_event":
            if event.data.type == "response.created":
                self._begun = 0
            elif event.data.type == "response.output_item.added":
                self._begun += event.data.item.type.endswith("_call")
                _check(self._begun)

    async def on_llm_end(
        self,
        context: agents.RunContextWrapper[Context],
        agent: Agent,
        response: agents.ModelResponse,
    ) -> None:
        """Raise a 502 ApiError if the answer has too many calls."""
        _check(sum(item.type.endswith("_call") for item in response.output))


def _ignore(call_id: str) -> None:
    """Tell nobody."""


def _check(calls: int) -> None:
    if calls > (most := limit("MAX_TOOL_CALLS")):
        text = f"The model called more than {most} tools at once (the limit MAX_TOOL_CALLS)."
        raise ApiError(502, "too_many_tool_calls", text)
