"""What a trace has of an agent's run: the calls of its models and tools."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import agents
from agents import FunctionSpanData, GenerationSpanData, ResponseSpanData, Trace, TracingProcessor

from agent_server.tracing.spans import Span, Tokens, is_traced, open_model, open_tool, whole_prompts


class Traces(TracingProcessor):
    """Traces every model and tool that runs in a traced turn.

    The SDK says when each begins and ends, in the context that it runs in.
    """

    def __init__(self) -> None:
        self._spans: dict[str, Span] = {}

    def on_trace_start(self, trace: Trace) -> None:
        """Do nothing: the turn has a trace already."""

    def on_trace_end(self, trace: Trace) -> None:
        """Do nothing."""

    def on_span_start(self, span: agents.Span[Any]) -> None:
        """Begin the call of a model or a tool."""
        if not is_traced():
            return
        opened = None
        if isinstance(span.span_data, GenerationSpanData | ResponseSpanData):
            opened = open_model()
        elif isinstance(span.span_data, FunctionSpanData):
            opened = open_tool(span.span_data.name)
        if opened:
            self._spans[span.span_id] = opened

    def on_span_end(self, span: agents.Span[Any]) -> None:
        """End it with what came out, or its failure."""
        if not (opened := self._spans.pop(span.span_id, None)):
            return
        data = span.span_data
        if isinstance(data, GenerationSpanData):
            opened.note_inputs({"messages": _shown(data.input or ())})
            opened.note_model(data.model or "", _tokens(data.usage or {}))
            outputs: Any = _said(data.output or ())
        elif isinstance(data, FunctionSpanData):
            opened.note_inputs(_parsed(data.input))
            outputs = data.output
        else:
            outputs = None
        if span.error:
            opened.fail(RuntimeError(span.error["message"]))
        else:
            opened.end(outputs)

    def force_flush(self) -> None:
        """Do nothing: MLflow sends what there is."""

    def shutdown(self) -> None:
        """Do nothing."""


def _shown(messages: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return what the model has not seen, unless all is wanted."""
    if whole_prompts():
        return list(messages)
    new: list[Any] = []
    for message in reversed(messages):  # a thread may be long
        if message.get("role") == "assistant":
            break
        new.insert(0, message)
        if message.get("role") == "user":
            break
    return new


def _said(output: Sequence[Mapping[str, Any]]) -> Any:
    # Streamed, it is a response of the Responses API.
    streamed = [one["output"] for one in output if "output" in one]
    return {"output": streamed[0]} if streamed else {"choices": [{"message": m} for m in output]}


def _parsed(arguments: str | None) -> Any:
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments


def _tokens(used: Mapping[str, Any]) -> Tokens | None:
    if "input_tokens" not in used:
        return None
    cached = (used.get("input_tokens_details") or {}).get("cached_tokens") or 0
    return Tokens(used["input_tokens"], used["output_tokens"], cached)
