"""The client's chat completions: keeps what LangChain would drop from an answer.

LangChain reads only `content`, and takes it for a text: reasoning, refusals, citations and why an
answer ended stand beside it, or in a list of parts. They are put into the text, marked.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

from agent_server.answers.content import UNREADABLE, marked
from agent_server.answers.parts import FINISH
from agent_server.errors import ModelError
from agent_server.transport.model_client import QuickCompletions

REASONING = ("reasoning_content", "reasoning")
COMPLETE = ("stop", "tool_calls", "function_call", None, "")


class WholeCompletions(QuickCompletions):
    """Chat completions whose answers hold everything in their content."""

    async def create(self, **request: Any) -> Any:
        """Return an answer, or its stream; raises ModelError if it is something else."""
        answer = await super().create(**request)
        if request.get("stream"):
            return _Stream(answer)
        # With its headers, as LangChain asks for it, it is parsed once, here.
        parsed = answer.parse() if hasattr(answer, "parse") else answer
        if not getattr(parsed, "choices", None):
            raise ModelError("the endpoint's answer is no chat completion")
        for choice in parsed.choices:
            _put_all_into_content(choice.message, choice.finish_reason)
            for call in choice.message.tool_calls or ():
                _mend(call.function)
        return answer


class _Stream:
    """A stream of chunks, each with everything in its content."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aenter__(self) -> "_Stream":
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
                    _put_all_into_content(choice.delta, choice.finish_reason)
                yield chunk
        finally:
            await self.close()
        if not begun:
            raise ModelError("the endpoint's answer is no stream of chunks")


def _put_all_into_content(said: Any, finish: str | None) -> None:
    content = said.content
    parts = list(content) if isinstance(content, list) else []
    if thought := next((value for name in REASONING if (value := getattr(said, name, None))), None):
        parts.insert(0, {"type": "reasoning", "reasoning": str(thought)})
    if refusal := getattr(said, "refusal", None):
        parts.append({"type": "text", "text": refusal})
    if cited := getattr(said, "annotations", None):
        plain = [one if isinstance(one, dict) else one.model_dump() for one in cited]
        parts.append({"type": "text", "text": "", "annotations": plain})
    if finish not in COMPLETE:
        parts.append({"type": FINISH, "reason": finish})
    if parts:
        text = content if isinstance(content, str) else ""
        said.content = text + marked(parts)


def _mend(function: Any) -> None:
    """Let arguments that are JSON, but no object, be an object that says so."""
    try:
        arguments = json.loads(function.arguments or "{}")
    except ValueError:  # LangChain takes it for an invalid call
        return
    if not isinstance(arguments, dict | None):
        function.arguments = json.dumps({UNREADABLE: function.arguments})
