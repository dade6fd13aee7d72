"""Answers of an endpoint, whole or as a stream, in the shape that a framework reads."""

from collections.abc import AsyncIterator, Callable
from typing import Any

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
        shape(choice.message, choice.finish_reason)
    return answer


class ShapedStream:
    """A stream of chunks whose pieces are shaped as they come.

    Reading it raises ModelError if it holds none.
    """

    def __init__(self, stream: Any, shape: Shape) -> None:
        self._stream, self._shape = stream, shape

    async def __aenter__(self) -> "ShapedStream":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection to the model."""
        await self._stream.close()

    async def __aiter__(self) -> AsyncIterator[Any]:
        begun = False
        try:
            async for chunk in self._stream:
                begun = True
                for choice in chunk.choices or ():
                    self._shape(choice.delta, choice.finish_reason)
                yield chunk
        finally:
            await self.close()
        if not begun:
            raise ModelError("the endpoint's answer is no stream of chunks")


def cited_beside(said: Any) -> list[Any]:
    """Return the citations that stand beside a message's content, as dictionaries."""
    cited = getattr(said, "annotations", None) or ()
    return [one if isinstance(one, dict) else one.model_dump() for one in cited]
