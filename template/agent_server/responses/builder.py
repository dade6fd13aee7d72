"""Builds a response of the OpenAI Responses API, and emits its events."""

import json
import re
import time
from collections import Counter
from typing import Any
from uuid import uuid4

from agent_server.database.text import (
    FIRST_HALVES,
    REPLACEMENT,
    shortened,
    to_storable,
    to_storable_json,
)
from agent_server.errors import ModelError, output_too_large
from agent_server.responses.events import EventLog
from agent_server.settings import limit, setting

Item = dict[str, Any]
UNFINISHED = ("queued", "in_progress")
UNSET = dict.fromkeys(("error", "incomplete_details", "instructions", "usage"))


class ResponseBuilder:
    """Collects a run's output in `body`, and the events for its readers in `events`.

    Text is cleaned of what can't be stored. Methods that take output raise a 502 ApiError when the
    events would be larger than the limit MAX_BYTES.
    """

    MAX_BYTES = "OUTPUT_BYTES"

    def __init__(self, thread_id: str) -> None:
        place = {"thread_id": thread_id, "session_id": thread_id}
        head = {"id": f"resp_{uuid4().hex}", "object": "response", "created_at": int(time.time())}
        tools = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
        rest = {"model": setting("MODEL_ENDPOINT"), "metadata": {}, "custom_outputs": place}
        state: Item = {"status": "in_progress", "output": [], **UNSET}
        self._body: Item = {**head, **rest, **tools, **state}
        self._deltas: list[str] = []  # of the open message; not yet in the body
        self._half = ""  # the first half of a surrogate pair, whose second may follow
        self._bytes = self._said = 0  # of all events, and of the open message
        self._tokens = Counter(input_tokens=0, output_tokens=0)
        self.events = EventLog()
        self._emitted = self._opened = 0
        self._begun = False
        self._message: Item | None = None

    @property
    def finished(self) -> bool:
        """Whether its last event has been emitted."""
        return self.body["status"] not in UNFINISHED

    @property
    def body(self) -> Item:
        """The response as it is now."""
        if self._deltas:  # joined only here: adding each to the text would copy it every time
            self._body["output"][-1]["content"][0]["text"] += "".join(self._deltas)
            self._deltas.clear()
        return self._body

    def text(self, delta: str) -> None:
        """Append `delta` to the open message, opening one if necessary."""
        text, self._half = self._half + delta, ""
        half = text[-1:] if re.fullmatch(FIRST_HALVES, text[-1:]) else ""
        if text := to_storable(text.removesuffix(half)):
            self._refuse_beyond(text)
            if self._said + len(text.encode()) > (most := limit("MODEL_ANSWER_BYTES")):
                raise output_too_large(f"The model's answer is larger than {most} bytes.")
            self._append_text(text)
        self._half = half

    def end_text(self, text: str = "") -> None:
        """Close the open message; `text` is its full text if it was not streamed."""
        self._end_half()
        if text and self._message is None:
            self.text(text)
            self._end_half()
        if self._message:
            part = self.body["output"][-1]["content"][0]
            message, self._message = self._message, None
            self._emit_of_item("output_text.done", content_index=0, text=part["text"], logprobs=[])
            self._emit_of_item("content_part.done", content_index=0, part=part)
            self._close(message)

    def tool_call(self, call_id: str, name: str, arguments: str) -> None:
        """Emit a tool call of the model; `arguments` is JSON."""
        call_id, name, arguments = *map(to_storable, (call_id, name)), to_storable_json(arguments)
        if len(arguments) > (most := limit("TOOL_ARGUMENTS_BYTES")):
            raise output_too_large(f"The arguments of a tool call are larger than {most} bytes.")
        self._refuse_beyond(arguments)
        call = {"type": "function_call", "call_id": call_id, "name": name, "arguments": ""}
        self._open("fc", call)["arguments"] = arguments
        self._emit_of_item("function_call_arguments.delta", delta=arguments)
        self._emit_of_item("function_call_arguments.done", arguments=arguments, name=name)
        self._close(call)

    def tool_output(self, call_id: str, output: str) -> None:
        """Emit the result of a tool call, cut off at the limit TOOL_OUTPUT_BYTES."""
        self._refuse_beyond(output)
        output = shortened(to_storable(output), limit("TOOL_OUTPUT_BYTES"))
        item = {"type": "function_call_output", "call_id": to_storable(call_id), "output": output}
        self._close(self._open("fco", item))

    def count(self, input_tokens: int, output_tokens: int) -> None:
        """Add the tokens that one model call used."""
        self._tokens.update(input_tokens=input_tokens, output_tokens=output_tokens)

    def complete(self) -> None:
        """Finish the response, with its usage if the model counted its tokens.

        Raises ModelError when it is empty, for example if the stream did not come from a model.
        """
        self.end_text()
        if not self.body["output"]:
            raise ModelError("the model returned nothing")
        if total := self._tokens.total():
            cached = {"input_tokens_details": {"cached_tokens": 0}}
            reasoning = {"output_tokens_details": {"reasoning_tokens": 0}}
            self.body["usage"] = {**self._tokens, **cached, **reasoning, "total_tokens": total}
        self._finish("completed")

    def fail(self, code: str, message: str) -> None:
        """Finish with an error, keeping the output; does nothing before the first event."""
        if self._emitted and not self.finished:
            self._interrupt()
            self.body["error"] = {"code": code, "message": message}
            self._finish("failed")

    def _append_text(self, delta: str) -> None:
        if self._message is None:
            message = self._open("msg", {"type": "message", "role": "assistant", "content": []})
            part = {"type": "output_text", "text": "", "annotations": []}
            message["content"] = [part]
            self._emit_of_item("content_part.added", content_index=0, part=part)
            self._message, self._said = message, 0
        self._said += len(delta.encode())
        self._deltas.append(delta)
        self._emit_of_item("output_text.delta", content_index=0, delta=delta, logprobs=[])

    def _end_half(self) -> None:
        """Replace the first half of a surrogate pair whose second never came."""
        if self._half:
            self._half = ""
            self._append_text(REPLACEMENT)

    def _interrupt(self) -> None:
        """Close the unfinished item, if there is one."""
        self._message, self._half = None, ""
        if self.body["output"] and self.body["output"][-1]["status"] == "in_progress":
            self._close(self.body["output"][-1], "incomplete")

    def _finish(self, status: str) -> None:
        self._begin()
        self.body["status"] = status
        self._emit(status, response=self.body)

    def _begin(self) -> None:
        # Only once there is output: until then, a failure can still be an HTTP status.
        if not self._begun:
            self._begun = True
            self.body["status"] = "in_progress"
            if not self._emitted:
                self._emit("created", response=self.body)
            self._emit("in_progress", response=self.body)

    def _open(self, prefix: str, item: Item) -> Item:
        self._begin()
        self.end_text()
        item.update(id=f"{prefix}_{uuid4().hex}", status="in_progress")
        self.body["output"].append(item)
        self._opened += 1
        self._emit_of_item("output_item.added", item=item)
        return item

    def _close(self, item: Item, status: str = "completed") -> None:
        item["status"] = status
        self._emit_of_item("output_item.done", item=item)

    def _emit_of_item(self, event: str, **fields: Any) -> None:
        """Emit an event about the item that was opened last."""
        item = self._body["output"][-1]
        self._emit(event, item_id=item["id"], output_index=self._opened - 1, **fields)

    def _emit(self, event: str, **fields: Any) -> None:
        kind = f"response.{event}"
        number = {"sequence_number": self._emitted}
        text = json.dumps({"type": kind, **number, **fields})
        self.events.append((kind, text))
        self._bytes += len(text)
        self._emitted += 1

    def _refuse_beyond(self, more: str) -> None:
        # Checked before anything is emitted: an item that was opened must always be closed.
        most = limit(self.MAX_BYTES)
        if self._bytes + len(more) > most:
            raise output_too_large(f"The output is larger than {most} bytes.")
