"""A response that outlives its process: it can be resumed from its stored events."""

import json
from collections.abc import Sequence
from typing import Any, Self

from agent_server.database.text import to_storable
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.events import Event, EventLog
from agent_server.responses.written import KINDS, Item, Kind

DELTAS = {f"{kind.text_event}.delta" for kind in KINDS.values()}


class DurableResponse(ResponseBuilder):
    """A response that may take several attempts, possibly in different processes.

    Its events are numbered across attempts. After one is cut off, the next closes the unfinished
    item as `incomplete` and emits `response.in_progress` again. The output in that event is kept;
    all other output so far is void. New items follow, each with an `output_index` that was never
    used before. The final response holds the kept and the new items, and no others.
    """

    MAX_BYTES = "BACKGROUND_OUTPUT_BYTES"

    def __init__(self, thread_id: str, response_id: str = "") -> None:
        super().__init__(thread_id)
        self.body.update(status="queued", background=True)
        self.body["id"] = response_id or self.body["id"]
        self._earlier: list[Item] = []

    @property
    def begun(self) -> bool:
        """Whether this attempt has emitted anything."""
        return self._begun

    def queue(self) -> Event:
        """Emit `response.created` before the run starts, and return that event."""
        self._emit("created", response=self.body)
        return self.events.since(0)[0]

    def wait(self) -> None:
        """Emit `response.queued`: the run waits for others to finish."""
        self.body["status"] = "queued"
        self._emit("queued", response=self.body)

    @classmethod
    def replay(cls, events: Sequence[str]) -> Self:
        """Rebuild a response from its events, each as JSON; its log continues after them."""
        body = json.loads(events[0])["response"]
        response = cls(body["custom_outputs"]["thread_id"])
        response._body = body
        for event in events:
            response._replay(json.loads(event))
        response._bytes = sum(map(len, events))
        response.events = EventLog(len(events))
        return response

    def recover(self) -> None:
        """Begin the next attempt; only output that it emits again before anything new is kept."""
        self._interrupt()
        self._earlier, self.body["output"] = self.body["output"], []
        self._begun = False

    def cancel(self) -> None:
        """Finish the response as cancelled, keeping its output."""
        self._interrupt()
        self._finish("cancelled")

    def fail_instead(self, code: str, message: str) -> Event:
        """Fail with an error after all; return the event that replaces the last, unseen one."""
        self._emitted -= 1
        self.events = EventLog(self.events.end_position - 1)
        self.body.update(status="in_progress", usage=None)
        self.fail(code, message)
        return self.events.since(self.events.start)[0]

    def _end(self, kind: Kind, text: str, annotations: Sequence[Item]) -> None:
        whole = text and self._written is None
        if not (whole and self._keep(**kind.to_item(to_storable(text), annotations))):
            super()._end(kind, text, annotations)

    def tool_call(self, call_id: str, name: str, arguments: str) -> None:
        """Emit a tool call of the model; `arguments` is JSON."""
        if not self._keep(type="function_call", call_id=to_storable(call_id)):
            super().tool_call(call_id, name, arguments)

    def tool_output(self, call_id: str, output: str) -> None:
        """Emit the result of a tool call."""
        if not self._keep(type="function_call_output", call_id=to_storable(call_id)):
            super().tool_output(call_id, output)

    def _keep(self, **fields: Any) -> bool:
        """Keep this item if an earlier attempt emitted it; return whether one did."""
        for item in () if self._begun else self._earlier:
            if item["status"] == "completed" and fields.items() <= item.items():
                self._earlier.remove(item)
                self.body["output"].append(item)
                return True
        return False

    def _replay(self, event: Item) -> None:
        kind = event["type"].removeprefix("response.")
        if kind in DELTAS:
            self._deltas.append(event["delta"])
        else:
            self._replay_rare(kind, event)
        self._emitted += 1

    def _replay_rare(self, kind: str, event: Item) -> None:
        output: list[Item] = self.body["output"]
        match kind:
            case "in_progress":
                self._body, self._begun = event["response"], True
            case "queued":
                self.body["status"] = "queued"
            case "output_item.added":
                output.append(event["item"])
                self._opened += 1
            case "content_part.added" | "reasoning_summary_part.added":
                output[-1][KINDS[output[-1]["type"]].parts] = [event["part"]]
            case "output_item.done":
                output[-1] = event["item"]
