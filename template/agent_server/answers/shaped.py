"""Answers of an endpoint, whole or as a stream, in the shape that a framework reads."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from pydantic import BaseModel

from agent_server.answers.call_pieces import CallPieces, to_text
from agent_server.errors import ModelError

# Changes a message, or a piece of one, in place; is given why the answer ended, once it has.
Shape = Callable[[Any, str | None], None]


def shape_whole(answer: Any, shape: Shape) -> Any:
    """Return the answer with its messages shaped; raises ModelError if it is something else."""
    # With its headers, as LangChain asks for it, it is parsed once, here.
    parsed = answer.parse() if hasattr(answer, "parse") else answer
    if not getattr(parsed, "choices", None):
        raise ModelError("the endpoint's answer is no chat completion")
    for choice in parsed.choices:
        for call in choice.message.tool_calls or ():
            to_text(call.function)
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
        except ValueError as error:
            raise ModelError("the endpoint's stream is no JSON, or no UTF-8") from error
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
        choices = getattr(chunk, "choices", None) or ()
        # Azure's notes on a text have no delta.
        chunk.choices = kept = [choice for choice in choices if choice.delta]
        for choice in kept:
            self._calls.shape(choice.delta.tool_calls or ())
            self._shape(choice.delta, choice.finish_reason)


def cited_beside(said: Any) -> list[Any]:
    """Return the citations that stand beside a message's content, as dictionaries."""
    cited = getattr(said, "annotations", None) or ()
    return [one if isinstance(one, dict) else one.model_dump() for one in cited]
