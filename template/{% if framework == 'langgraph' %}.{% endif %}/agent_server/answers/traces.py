"""What a trace has of a graph's run: the calls of its models and tools."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import LLMResult

from agent_server.settings import setting
from agent_server.tracing.spans import Span, Tokens, is_traced, open_model, open_tool, whole_prompts


def tracers() -> list[BaseCallbackHandler]:
    """Return the callbacks that trace a run, if its turn is traced."""
    return [Traces()] if is_traced() else []


class Traces(BaseCallbackHandler):
    """Traces every model and tool of a graph, those in its subgraphs and tools included."""

    run_inline = True  # in the context of the tool, for what its code traces
    ignore_chain = True

    def __init__(self) -> None:
        self._spans: dict[UUID, Span] = {}
        self._models: dict[UUID, str] = {}

    def on_chat_model_start(
        self,
        serialized: Any,
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        metadata: Any = None,
        **_: Any,
    ) -> None:
        """Begin the call of a model."""
        if not (span := open_model()):
            return
        self._spans[run_id] = span
        sent = [message for several in messages for message in several]
        shown = sent if whole_prompts() else _new(sent)
        span.note_inputs({"messages": [_to_json(message) for message in shown]})
        self._models[run_id] = (metadata or {}).get("ls_model_name") or setting("MODEL_ENDPOINT")

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """End it with the model's message, and its tokens."""
        name = self._models.pop(run_id, "")
        if span := self._spans.pop(run_id, None):
            said = [getattr(one, "message", None) for one in response.generations[0]]
            answers = [message for message in said if isinstance(message, AIMessage)]
            span.note_model(name, _tokens(answers[0]) if answers else None)
            span.end({"choices": [{"message": _to_json(answer)} for answer in answers]})

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """End it with its failure."""
        self._models.pop(run_id, "")
        self._fail(run_id, error)

    def on_tool_start(
        self,
        serialized: Any,
        input_str: str,
        *,
        run_id: UUID,
        inputs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Begin the call of a tool."""
        name = str((serialized or {}).get("name", "tool"))
        if span := open_tool(name):
            self._spans[run_id] = span
            span.note_inputs(_arguments(inputs, input_str))

    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """End it with its result."""
        if span := self._spans.pop(run_id, None):
            span.end(output.content if isinstance(output, ToolMessage) else str(output))

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """End it with its failure."""
        self._fail(run_id, error)

    def _fail(self, run_id: UUID, error: BaseException) -> None:
        if span := self._spans.pop(run_id, None):
            span.fail(error)


def _new(messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    """Return what the model has not seen: the last question, or the results of its last calls."""
    kinds = (HumanMessage, AIMessage)
    last = max((n for n, message in enumerate(messages) if isinstance(message, kinds)), default=0)
    asked = bool(messages) and isinstance(messages[last], HumanMessage)
    return messages[last if asked else last + 1 :]


def _arguments(inputs: dict[str, Any] | None, text: str) -> Any:
    # What the run injects, such as the user and the store, is not JSON.
    if inputs is None:
        return text
    return {name: value for name, value in inputs.items() if _is_json(value)}


def _is_json(value: Any) -> bool:
    return isinstance(value, str | int | float | bool | list | dict | None)


def _to_json(message: BaseMessage) -> dict[str, Any]:
    roles = {"human": "user", "ai": "assistant"}
    said: dict[str, Any] = {
        "role": roles.get(message.type, message.type), "content": message.text
    }  # fmt: skip
    if isinstance(message, ToolMessage):
        said["tool_call_id"] = message.tool_call_id
    if isinstance(message, AIMessage) and message.tool_calls:
        said["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": json.dumps(call["args"])},
            }
            for call in message.tool_calls
        ]
    return said


def _tokens(message: AIMessage) -> Tokens | None:
    if not (used := message.usage_metadata):
        return None
    cached = (used.get("input_token_details") or {}).get("cache_read") or 0
    return Tokens(used["input_tokens"], used["output_tokens"], cached)
