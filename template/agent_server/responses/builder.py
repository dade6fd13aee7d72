"""Builds a response of the OpenAI Responses API, and emits its events."""

import time
from collections import Counter
from typing import Any
from uuid import uuid4

from agent_server.database.text import shortened, to_storable, to_storable_json
from agent_server.errors import ModelError, output_too_large
from agent_server.responses.emitter import ItemEmitter
from agent_server.responses.written import Item
from agent_server.settings import PYPROJECT, limit, setting

UNFINISHED = ("queued", "in_progress")
UNSET = dict.fromkeys(("error", "incomplete_details", "instructions", "usage"))


class ResponseBuilder(ItemEmitter):
    """Collects a run's output in `body`, and the events for its readers in `events`.

    Text is cleaned of what can't be stored.
    """

    def __init__(self, thread_id: str) -> None:
        place = {"thread_id": thread_id, "session_id": thread_id}
        head = {"id": f"resp_{uuid4().hex}", "object": "response", "created_at": int(time.time())}
        tools = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
        rest = {"model": setting("MODEL_ENDPOINT"), "metadata": {}, "custom_outputs": place}
        state: Item = {"status": "in_progress", "output": [], **UNSET}
        super().__init__({**head, **rest, **tools, **state})
        self._tokens: Counter[str] = Counter()
        self._cut_off_by = ""

    @property
    def finished(self) -> bool:
        """Whether its last event has been emitted."""
        return self.body["status"] not in UNFINISHED

    def tool_call(self, call_id: str, name: str, arguments: str) -> None:
        """Emit a tool call of the model; `arguments` is JSON."""
        call_id, name, arguments = *map(to_storable, (call_id, name)), to_storable_json(arguments)
        if len(arguments) > (most := limit("TOOL_ARGUMENTS_BYTES")):
            raise output_too_large(f"The arguments of a tool call are larger than {most} bytes.")
        self._refuse_beyond(arguments)
        self._close_text()
        call = {"type": "function_call", "call_id": call_id, "name": name, "arguments": ""}
        self._open("fc", call)["arguments"] = arguments
        self._emit_of_item("function_call_arguments.delta", delta=arguments)
        self._emit_of_item("function_call_arguments.done", arguments=arguments, name=name)
        self._close(call)

    def tool_output(self, call_id: str, output: str) -> None:
        """Emit the result of a tool call, cut off at the limit TOOL_OUTPUT_BYTES."""
        self._refuse_beyond(output)
        output = shortened(to_storable(output), limit("TOOL_OUTPUT_BYTES"))
        self._close_text()
        item = {"type": "function_call_output", "call_id": to_storable(call_id), "output": output}
        self._close(self._open("fco", item))

    def approval_request(self, request_id: str, name: str, arguments: str) -> None:
        """Emit a request to approve a tool call; `arguments` is JSON."""
        self._refuse_beyond(arguments)
        self._close_text()
        call = {"id": request_id, "name": name, "arguments": arguments}
        kind = {"type": "mcp_approval_request", "server_label": PYPROJECT["project"]["name"]}
        self._close(self._open("mcpr", {**kind, **call}))

    def count(
        self, input_tokens: int, output_tokens: int, cached: int = 0, reasoning: int = 0
    ) -> None:
        """Add the tokens that one model call used; `cached` are of the input."""
        used = {"input_tokens": input_tokens, "output_tokens": output_tokens}
        self._tokens.update(**used, cached_tokens=cached, reasoning_tokens=reasoning)

    def note(self, **outputs: Any) -> None:
        """Add what the client may know of the turn to `custom_outputs`."""
        self._body["custom_outputs"].update(outputs)

    def cut_off(self, reason: str) -> None:
        """Let the response end as `incomplete`, for example by `max_output_tokens`."""
        self._cut_off_by = reason

    @property
    def is_cut_off(self) -> bool:
        """Whether it will end as `incomplete`."""
        return bool(self._cut_off_by)

    def complete(self) -> None:
        """Finish the response, with its usage if the model counted its tokens.

        A turn that ends with the result of a tool is answered by that. Raises ModelError when
        there is no output, for example if the stream did not come from a model.
        """
        self._close_text()
        output = self.body["output"]
        if output and output[-1]["type"] == "function_call_output" and not self._cut_off_by:
            self.end_text(output[-1]["output"])
        if not output and not self._cut_off_by:
            raise ModelError("the model returned nothing")
        if self._tokens.total():
            self.body["usage"] = self._usage()
        if self._cut_off_by:
            self.body["incomplete_details"] = {"reason": self._cut_off_by}
        self._finish("incomplete" if self._cut_off_by else "completed")

    def fail(self, code: str, message: str) -> None:
        """Finish with an error, keeping the output; does nothing before the first event."""
        if self._emitted:
            self.end(code, message)

    def end(self, code: str, message: str) -> None:
        """Finish with an error, keeping the output, even if nothing has been emitted."""
        if not self.finished:
            self._interrupt()
            self.body["error"] = {"code": code, "message": message}
            self._finish("failed")

    def _usage(self) -> Item:
        tokens = self._tokens
        return {
            "input_tokens": tokens["input_tokens"],
            "input_tokens_details": {"cached_tokens": tokens["cached_tokens"]},
            "output_tokens": tokens["output_tokens"],
            "output_tokens_details": {"reasoning_tokens": tokens["reasoning_tokens"]},
            "total_tokens": tokens["input_tokens"] + tokens["output_tokens"],
        }

    def _finish(self, status: str) -> None:
        self._begin()
        self.body["status"] = status
        self._emit(status, response=self.body)
