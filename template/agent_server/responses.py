"""One response of the OpenAI Responses API, and the events that announce it as it grows."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

Event = dict[str, Any]
Item = dict[str, Any]
UNUSED = ("error", "incomplete_details", "instructions", "usage")


class ResponseBuilder:
    """Collects what a run produces; every method yields the events a client should see."""

    def __init__(self, model: str, custom_outputs: dict[str, str]) -> None:
        head = {"id": f"resp_{uuid4().hex}", "object": "response", "created_at": int(time.time())}
        tools = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
        rest = {"model": model, "metadata": {}, "custom_outputs": custom_outputs}
        state: dict[str, Any] = {"status": "in_progress", "output": [], **dict.fromkeys(UNUSED)}
        self.body: dict[str, Any] = {**head, **rest, **tools, **state}
        self.tokens = {"input_tokens": 0, "output_tokens": 0}
        self._events = 0
        self._message: Item | None = None

    def text(self, delta: str) -> Iterator[Event]:
        """Append `delta` to the message being written, which is opened if there is none."""
        if self._message is None:
            part = {"type": "output_text", "text": "", "annotations": []}
            self._message = {"type": "message", "role": "assistant", "content": [part]}
            yield from self._opened(self._message, "msg", content=[])
            yield self._part_event("content_part.added", part=dict(part))
        self._message["content"][0]["text"] += delta
        yield self._part_event("output_text.delta", delta=delta, logprobs=[])

    def end_text(self, text: str = "") -> Iterator[Event]:
        """Close the message being written; `text` is the whole of it when it did not stream."""
        if self._message is None and text:
            yield from self.text(text)
        if self._message:
            part = dict(self._message["content"][0])
            yield self._part_event("output_text.done", text=part["text"], logprobs=[])
            yield self._part_event("content_part.done", part=part)
            yield self._closed(self._message)
            self._message = None

    def tool_call(self, call_id: str, name: str, arguments: str) -> Iterator[Event]:
        """Announce that the model called a tool; `arguments` is JSON."""
        yield from self.end_text()
        call = {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
        yield from self._opened(call, "fc", arguments="")
        place = {"item_id": call["id"], "output_index": self._index}
        yield self._event("function_call_arguments.delta", delta=arguments, **place)
        yield self._event("function_call_arguments.done", arguments=arguments, name=name, **place)
        yield self._closed(call)

    def tool_output(self, call_id: str, output: str) -> Iterator[Event]:
        """Announce what a tool returned."""
        yield from self.end_text()
        item = {"type": "function_call_output", "call_id": call_id, "output": output}
        yield from self._opened(item, "fco")
        yield self._closed(item)

    def count(self, input_tokens: int, output_tokens: int) -> None:
        """Add what one call of the model used."""
        self.tokens["input_tokens"] += input_tokens
        self.tokens["output_tokens"] += output_tokens

    def completed(self) -> Iterator[Event]:
        """Finish the response, with its usage when the model counted."""
        yield from self.end_text()
        if total := sum(self.tokens.values()):
            details: dict[str, Any] = {"input_tokens_details": {"cached_tokens": 0}}
            details["output_tokens_details"] = {"reasoning_tokens": 0}
            self.body["usage"] = {**self.tokens, **details, "total_tokens": total}
        yield from self._finished("completed")

    def failed(self, code: str, message: str) -> Iterator[Event]:
        """Finish the response with an error, keeping what it already holds."""
        self.body["error"] = {"code": code, "message": message}
        yield from self._finished("failed")

    @property
    def _index(self) -> int:
        return len(self.body["output"]) - 1

    def _finished(self, status: str) -> Iterator[Event]:
        yield from self._created()
        self.body["status"] = status
        yield self._event(status, response=self.body)

    def _created(self) -> Iterator[Event]:
        if self._events == 0:
            for stage in ("created", "in_progress"):
                yield self._event(stage, response={**self.body, "output": []})

    def _event(self, name: str, /, **fields: Any) -> Event:
        self._events += 1
        return {"type": f"response.{name}", "sequence_number": self._events - 1, **fields}

    def _opened(self, item: Item, prefix: str, **shown: Any) -> Iterator[Event]:
        yield from self._created()
        item |= {"id": f"{prefix}_{uuid4().hex}", "status": "in_progress"}
        self.body["output"].append(item)
        shown = {**item, **shown}
        yield self._event("output_item.added", output_index=self._index, item=shown)

    def _closed(self, item: Item) -> Event:
        item["status"] = "completed"
        return self._event("output_item.done", output_index=self._index, item=dict(item))

    def _part_event(self, name: str, **fields: Any) -> Event:
        place = {"item_id": self.body["output"][-1]["id"], "output_index": self._index}
        return self._event(name, **place, content_index=0, **fields)
