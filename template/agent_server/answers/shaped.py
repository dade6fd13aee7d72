"""Answers of an endpoint, whole or as a stream, in the shape that a framework reads."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

from openai.types import CompletionUsage
from openai.types.chat.chat_completion import ChoiceLogprobs
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCallFunction
from pydantic import BaseModel, ValidationError

from agent_server.answers.call_pieces import CallPieces, to_text
from agent_server.answers.parts import FINISH
from agent_server.database.text import storable, to_storable
from agent_server.errors import ModelError

# Changes a message, or a piece of one, in place; is given why the answer ended, once it has.
Shape = Callable[[Any, str | None], None]
NO_COUNT = re.compile(r"\d{16}")  # more tokens than there are, and than can be stored


def shape_whole(answer: Any, shape: Shape) -> Any:
    """Return the answer with its messages shaped; raises ModelError if it is something else."""
    # With its headers, as LangChain asks for it, it is parsed once, here.
    try:
        parsed = answer.parse() if hasattr(answer, "parse") else answer
    except (ValueError, RecursionError) as error:
        raise ModelError("the endpoint's answer is not JSON") from error
    if not getattr(parsed, "choices", None):
        raise ModelError("the endpoint's answer is not a chat completion")
    for choice in _mend_answer(parsed):
        _mend_message(getattr(choice, "message", None))
        for place, call in enumerate(choice.message.tool_calls or ()):
            call.index, called = place, call.function
            called.name = called.name or ""
            called.arguments = getattr(called, "arguments", None) or ""
            to_text(called)
        shape(choice.message, choice.finish_reason)
    return answer


class ShapedStream:
    """A stream of chunks whose pieces are shaped as they come.

    Reading it raises ModelError if it holds none, or something else.
    """

    def __init__(self, stream: Any, shape: Shape) -> None:
        self._stream, self._shape, self._calls = stream, shape, CallPieces()

    async def __aenter__(self) -> "ShapedStream":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection to the model."""
        await self._stream.close()

    async def __aiter__(self) -> AsyncIterator[Any]:
        last, usage = None, None
        try:
            async for chunk in self._stream:
                self._shape_chunk(chunk)
                # Some say in each chunk what was used so far; frameworks would add it up.
                last, usage, chunk.usage = chunk, chunk.usage or usage, None
                yield chunk
        except (ValueError, RecursionError) as error:
            raise ModelError("the endpoint's stream is not JSON, or not UTF-8") from error
        finally:
            await self.close()
        if last is None:
            raise ModelError("the endpoint's answer is no stream of chunks")
        if usage:
            yield last.model_copy(update={"choices": [], "usage": usage})

    def _shape_chunk(self, chunk: Any) -> None:
        is_chunk = isinstance(chunk, BaseModel)
        if not is_chunk:
            raise ModelError("the endpoint's stream holds what is no chunk")
        if getattr(chunk, "error_code", None) or getattr(chunk, "object", None) == "error":
            raise ModelError(f"the endpoint's stream ends with an error: {chunk}")
        # Azure's notes on a text have no delta.
        choices = _mend_answer(chunk)
        chunk.choices = kept = [one for one in choices if getattr(one, "delta", None)]
        for choice in kept:
            _mend_message(choice.delta)
            self._calls.shape(choice.delta.tool_calls or ())
            self._shape(choice.delta, choice.finish_reason)


def cited_beside(said: Any) -> list[Any]:
    """Return the citations that stand beside a message's content, as dictionaries."""
    cited = getattr(said, "annotations", None)
    found = cited if isinstance(cited, list) else ()
    every = (one.model_dump(warnings=False) if isinstance(one, BaseModel) else one for one in found)
    return [storable(one) for one in every if isinstance(one, dict)]


# The SDK hands on whatever an endpoint sends, and frameworks take it for what the API says. Here,
# what an answer can do without is left out when it is something else; the rest is a ModelError.


def _mend_answer(answer: Any) -> list[Any]:
    """Return the choices of an answer, or of a chunk of one, after mending what surrounds them."""
    answer.id, answer.model = _text(answer, "id") or "", _text(answer, "model") or ""
    answer.system_fingerprint = _text(answer, "system_fingerprint")
    answer.service_tier = _text(answer, "service_tier")
    used = _valid(CompletionUsage, answer, "usage")
    answer.usage = None if used and NO_COUNT.search(used.model_dump_json()) else used
    choices = _listed(answer, "choices")
    for choice in choices:
        choice.index = _place(choice) or 0
        choice.finish_reason = _text(choice, "finish_reason")
        choice.logprobs = _valid(ChoiceLogprobs, choice, "logprobs")
    return choices


def _mend_message(said: Any) -> None:
    """Let a message, or a piece of one, have only what a framework can read."""
    if not _is_object(said):
        raise ModelError("the endpoint's answer has a message that is not an object")
    said.role, said.content = "assistant", _content(said) or None
    for name in ("refusal", "reasoning_content", "reasoning"):
        if not isinstance(getattr(said, name, None), str):
            setattr(said, name, None)
    said.audio = said.function_call = None  # nobody asks for them
    said.tool_calls = _listed(said, "tool_calls") or None
    for call in said.tool_calls or ():
        _mend_call(call)


def _mend_call(call: Any) -> None:
    call.id, call.type, call.index = _text(call, "id"), "function", _place(call)
    call.function = getattr(call, "function", None) or ChoiceDeltaToolCallFunction()
    if not _is_object(call.function):
        raise ModelError("the endpoint's answer has a call that names no tool")
    call.function.name = _text(call.function, "name")


def _content(said: Any) -> Any:
    content = getattr(said, "content", None)
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    return [storable(part) for part in content if isinstance(part, str) or _is_part(part)]


def _is_part(part: Any) -> bool:
    kind = part.get("type") if isinstance(part, dict) else None
    return isinstance(kind, str) and kind != FINISH


def _is_object(said: Any) -> bool:
    return isinstance(said, BaseModel)


def _listed(said: Any, name: str) -> list[Any]:
    found = getattr(said, name, None) or []
    if not (isinstance(found, list) and all(map(_is_object, found))):
        raise ModelError(f"the endpoint's answer has {name} that are not a list of objects")
    return found


def _text(said: Any, name: str) -> str | None:
    value = getattr(said, name, None)
    return to_storable(value) if isinstance(value, str) else None


def _place(said: Any) -> int | None:
    place = getattr(said, "index", None)
    return place if type(place) is int else None


def _valid(kind: type[BaseModel], answer: Any, name: str) -> Any:
    """Return what an endpoint said as what it should be; None if it is something else."""
    said = getattr(answer, name, None)
    if not isinstance(said, BaseModel):
        return None
    try:
        return kind.model_validate(said.model_dump(warnings=False))
    except ValidationError:
        return None
