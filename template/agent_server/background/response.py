"""A response that outlives its process: it can be resumed from its stored events."""

import json
from collections.abc import Sequence
from typing import Any, Self

from agent_server.errors import ApiError
from agent_server.responses.builder import Item, ResponseBuilder
from agent_server.responses.events import Event, EventLog
from agent_server.settings import limit


class DurableResponse(ResponseBuilder):
    """A response that may be built in several attempts, by as many processes.

    Its events have one numbering. When an attempt was cut off, the next one closes the unfinished
    item as `incomplete`, and emits `response.in_progress` again: the output in it is what is kept,
    and all other output so far is void. New items follow, whose `output_index` was never used
    before. The final response holds the kept and the new items, and no others.
    """

    def __init__(self, thread_id: str, response_id: str = "") -> None:
        super().__init__(thread_id)
        self.body.update(status="queued", background=True)
        self.body["id"] = response_id or self.body["id"]
        self._earlier: list[Item] = []
        self._bytes = 0

    @property
    def begun(self) -> bool:
        """Whether this attempt has emitted anything."""
        return self._begun

    def queue(self) -> Event:
        """Announce the response before it runs, and return that event."""
        self._emit("created", response=self.body)
        return self.events.since(0)[0]

    @classmethod
    def replay(cls, events: Sequence[str]) -> Self:
        """Return the response that `events` make up so far; its log continues after them."""
        body = json.loads(events[0])["response"]
        response = cls(body["custom_outputs"]["thread_id"])
        response.body = body
        for event in events:
            response._replay(json.loads(event))
        response._bytes = sum(map(len, events))
        response.events = EventLog(len(events))
        return response

    def recover(self) -> None:
        """Begin the next attempt: earlier output is void, unless it is emitted again first."""
        self._interrupt()
        self._earlier, self.body["output"] = self.body["output"], []
        self._begun = False

    def cancel(self) -> None:
        """Finish the response because its user cancels it, keeping its output."""
        self._interrupt()
        self._finish("cancelled")

    def text(self, delta: str) -> None:
        """Append `delta` to the message being written, which is opened if there is none."""
        self._refuse_beyond(delta)
        super().text(delta)

    def end_text(self, text: str = "") -> None:
        """Close the message being written; `text` is the whole of it when it did not stream."""
        parts = [{"type": "output_text", "text": text, "annotations": []}]
        if self._message or not (text and self._keep(type="message", content=parts)):
            super().end_text(text)

    def tool_call(self, call_id: str, name: str, arguments: str) -> None:
        """Announce that the model called a tool; `arguments` is JSON."""
        if not self._keep(type="function_call", call_id=call_id):
            self._refuse_beyond(arguments)
            super().tool_call(call_id, name, arguments)

    def tool_output(self, call_id: str, output: str) -> None:
        """Announce the result of a tool call."""
        if not self._keep(type="function_call_output", call_id=call_id):
            self._refuse_beyond(output)
            super().tool_output(call_id, output)

    def _keep(self, **fields: Any) -> bool:
        """Return whether an earlier attempt emitted this item, and if so keep it in this one."""
        for item in () if self._begun else self._earlier:
            if item["status"] == "completed" and fields.items() <= item.items():
                self._earlier.remove(item)
                self.body["output"].append(item)
                return True
        return False

    def _replay(self, event: Item) -> None:
        output: list[Item] = self.body["output"]
        match event["type"].removeprefix("response."):
            case "in_progress":
                self.body, self._begun = event["response"], True
            case "output_item.added":
                output.append(event["item"])
                self._opened += 1
            case "content_part.added":
                output[-1]["content"] = [event["part"]]
            case "output_text.delta":
                output[-1]["content"][0]["text"] += event["delta"]
            case "output_item.done":
                output[-1] = event["item"]
        self._emitted += 1

    def _append(self, event: Event) -> None:
        self._bytes += len(event[1])
        super()._append(event)

    def _refuse_beyond(self, more: str) -> None:
        # Before any of it is emitted: what was opened must always be closed.
        most = limit("BACKGROUND_OUTPUT_BYTES")
        if self._bytes + len(more) > most:
            raise ApiError(500, "output_too_large", f"The output is larger than {most} bytes.")
