"""One response of the OpenAI Responses API, and the events that announce it as it grows."""

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

Event = dict[str, Any]
Item = dict[str, Any]


class ResponseBuilder:
    """Collects what a run produces; every method yields the events a client should see."""

    def __init__(self, model: str, custom_outputs: dict[str, str]) -> None:
        self.body: dict[str, Any] = {
            "id": f"resp_{uuid4().hex}",
            "object": "response",
            "created_at": int(time.time()),
            "status": "in_progress",
            "model": model,
            "output": [],
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": None,
            "custom_outputs": custom_outputs,
        }
        self._events = 0
        self._message: Item | None = None

    def text(self, delta: str) -> Iterator[Event]:
        """Append `delta` to the message being written, which is opened if there is none."""
        yield from self._created()
        if self._message is None:
            part = {"type": "output_text", "text": "", "annotations": []}
            self._message = {"type": "message", "role": "assistant", "content": [part]}
            yield self._opened(self._message, "msg", content=[])
            yield self._part_event("response.content_part.added", part=dict(part))
        self._message["content"][0]["text"] += delta
        yield self._part_event("response.output_text.delta", delta=delta, logprobs=[])

    def end_text(self, text: str | None = None) -> Iterator[Event]:
        """Close the message being written; `text` is the whole of it when it did not stream."""
        if self._message is None and text:
            yield from self.text(text)
        if self._message is None:
            return
        part = self._message["content"][0]
        yield self._part_event("response.output_text.done", text=part["text"], logprobs=[])
        yield self._part_event("response.content_part.done", part=dict(part))
        yield self._closed(self._message)
        self._message = None

    def tool_call(self, call_id: str, name: str, arguments: str) -> Iterator[Event]:
        """Announce that the model called a tool; `arguments` is JSON."""
        yield from self._created()
        yield from self.end_text()
        item = {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
        yield self._opened(item, "fc", arguments="")
        place = {"item_id": item["id"], "output_index": self._index}
        yield self._event("response.function_call_arguments.delta", delta=arguments, **place)
        yield self._event(
            "response.function_call_arguments.done", name=name, arguments=arguments, **place
        )
        yield self._closed(item)

    def tool_output(self, call_id: str, output: str) -> Iterator[Event]:
        """Announce what a tool returned."""
        yield from self._created()
        yield from self.end_text()
        item = {"type": "function_call_output", "call_id": call_id, "output": output}
        yield self._opened(item, "fco")
        yield self._closed(item)

    def completed(self, input_tokens: int, output_tokens: int) -> Iterator[Event]:
        """Finish the response; the tokens are zero when the model does not count them."""
        yield from self._created()
        yield from self.end_text()
        self.body |= {"status": "completed", "usage": _to_usage(input_tokens, output_tokens)}
        yield self._event("response.completed", response=self.body)

    def failed(self, code: str, message: str) -> Iterator[Event]:
        """Finish the response with an error, keeping what it already holds."""
        yield from self._created()
        self.body |= {"status": "failed", "error": {"code": code, "message": message}}
        yield self._event("response.failed", response=self.body)

    @property
    def _index(self) -> int:
        return len(self.body["output"]) - 1

    def _created(self) -> Iterator[Event]:
        if self._events == 0:
            empty = {**self.body, "output": []}
            yield self._event("response.created", response=empty)
            yield self._event("response.in_progress", response=empty)

    def _event(self, type_: str, **fields: Any) -> Event:
        self._events += 1
        return {"type": type_, "sequence_number": self._events - 1, **fields}

    def _opened(self, item: Item, prefix: str, **shown: Any) -> Event:
        item |= {"id": f"{prefix}_{uuid4().hex}", "status": "in_progress"}
        self.body["output"].append(item)
        shown = {**item, **shown}
        return self._event("response.output_item.added", output_index=self._index, item=shown)

    def _closed(self, item: Item) -> Event:
        item["status"] = "completed"
        return self._event("response.output_item.done", output_index=self._index, item=dict(item))

    def _part_event(self, type_: str, **fields: Any) -> Event:
        item_id = self.body["output"][-1]["id"]
        return self._event(
            type_, item_id=item_id, output_index=self._index, content_index=0, **fields
        )


def to_sse(event: Event) -> str:
    """Return `event` as one server-sent event."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


def _to_usage(input_tokens: int, output_tokens: int) -> dict[str, Any] | None:
    if not input_tokens and not output_tokens:
        return None
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input_tokens + output_tokens,
    }
