"""Tells the client what a run adds to its thread, each item once."""

from collections.abc import Sequence
from typing import Any

import agents

from agent_server.answers.completions import Heard
from agent_server.answers.parts import Part, to_annotation
from agent_server.approvals.calls import Call
from agent_server.responses.builder import ResponseBuilder
from agent_server.threads.messages import to_text


class Teller:
    """Emits the items of a run to the response, and its text while it is written.

    With `holds`, a message is told only once the guardrails of the agent have let it pass.
    """

    def __init__(self, response: ResponseBuilder, heard: Heard, holds: bool) -> None:
        self._response, self._heard, self._holds = response, heard, holds
        self._written: set[str] = set()  # kinds of items that were told piece by piece
        self._held: list[Any] = []
        self._calls: dict[str, Any] = {}  # whose tools have not begun: they may have to wait
        self._begun: set[str] = set()

    def expect(self, call: Call) -> None:
        """Take a call that waited for one that the turn makes."""
        self._calls[call.place] = {"name": call.name, "arguments": call.arguments}

    def tell_rest(self, waits: bool = False) -> None:
        """Emit what is still held, at the end of a run; not calls that wait for approval."""
        self.tell_held()
        for call_id in [] if waits else [*self._calls]:
            self.begin_call(call_id)

    def hear(self, event: agents.StreamEvent) -> None:
        """Emit an event of a run that is streamed."""
        if event.type == "raw_response_event":
            self._hear_piece(event.data)
        elif event.type == "run_item_stream_event" and event.name != "mcp_approval_requested":
            self.tell(event.item.to_input_item())

    def tell(self, item: Any) -> None:
        """Emit an item, or hold it."""
        kind = item.get("type", "message")
        if self._holds and kind in ("message", "reasoning"):
            self._held.append(item)
            return
        if kind in ("function_call", "function_call_output"):
            self.tell_held()
        self._emit(kind, item)

    def begin_call(self, call_id: str) -> None:
        """Emit a call whose tool begins, now or as soon as it is known."""
        self._begun.add(call_id)
        if item := self._calls.pop(call_id, None):
            self._response.tool_call(call_id, item["name"], item["arguments"])

    def tell_held(self) -> None:
        """Emit what was held: nothing refuses it any more."""
        held, self._held = self._held, []
        for item in held:
            self._emit(item.get("type", "message"), item)

    def _hear_piece(self, data: Any) -> None:
        if data.type == "response.created":
            self._written.clear()
        if self._holds or not getattr(data, "delta", None):
            return
        match data.type:
            case "response.output_text.delta" | "response.refusal.delta":
                self._written.add("message")
                self._response.text(data.delta)
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                self._written.add("reasoning")
                self._response.reasoning(data.delta)

    def _emit(self, kind: str, item: Any) -> None:
        match kind:
            case "message":
                text = "" if kind in self._written else to_text(item.get("content"))
                self._response.end_text(text, self._cited(item))
            case "reasoning":
                text = "" if kind in self._written else _thought(item)
                self._response.end_reasoning(text)
            case "function_call":
                self._calls[item["call_id"]] = item
                if item["call_id"] in self._begun:
                    self.begin_call(item["call_id"])
            case "function_call_output":
                self.begin_call(item["call_id"])
                self._response.tool_output(item["call_id"], to_text(item["output"]))

    def _cited(self, item: Any) -> Sequence[Part]:
        content = item.get("content")
        parts = content if isinstance(content, list) else []
        own = [to_annotation(one) for part in parts for one in part.get("annotations") or ()]
        beside, self._heard.annotations = self._heard.annotations, []
        return own or beside


def _thought(item: Any) -> str:
    pieces = [*(item.get("summary") or ()), *(item.get("content") or ())]
    return "".join(piece.get("text", "") for piece in pieces)
