"""Bounds how many tools a model may call at once: they all run, before anything else is said."""

import json
from collections import defaultdict
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, GenerationChunk, LLMResult

from agent_server.errors import ApiError, ModelError
from agent_server.settings import limit
from agent_server.transport.json_bounds import check_json


class ToolCallBound(BaseCallbackHandler):
    """Ends a turn in which any model, of any node, makes too many tool calls in one answer."""

    raise_error = run_inline = True

    def __init__(self) -> None:
        self._begun: defaultdict[UUID, set[Any]] = defaultdict(set)  # the calls of open streams

    def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        """Do nothing: without this, LangChain writes the whole prompt out as text, and drops it."""

    def on_llm_new_token(
        self,
        token: Any,
        *,
        chunk: GenerationChunk | ChatGenerationChunk | None = None,
        run_id: UUID,
        **_: Any,
    ) -> None:
        """Raise a 502 ApiError as soon as a stream begins one call too many."""
        message = getattr(chunk, "message", None)
        if isinstance(message, AIMessageChunk) and message.tool_call_chunks:
            for call in message.tool_call_chunks:
                place = call["index"]
                self._begun[run_id].add(call["id"] if place is None else place)
            _check(len(self._begun[run_id]))

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """Raise a 502 ApiError if the answer has too many calls; ModelError for too deep ones."""
        self._begun.pop(run_id, None)
        for generation in (one for several in response.generations for one in several):
            message = getattr(generation, "message", None)
            if isinstance(message, AIMessage):
                _check(len(message.tool_calls) + len(message.invalid_tool_calls))
                for call in message.tool_calls:
                    _check_depth(call["args"])


def _check_depth(arguments: dict[str, Any]) -> None:
    try:
        check_json(json.dumps(arguments).encode())
    except (ValueError, RecursionError) as error:
        raise ModelError("the arguments of a tool call hold too much, or are too deep") from error


def _check(calls: int) -> None:
    if calls > (most := limit("MAX_TOOL_CALLS")):
        text = f"The model called more than {most} tools at once (the limit MAX_TOOL_CALLS)."
        raise ApiError(502, "too_many_tool_calls", text)
