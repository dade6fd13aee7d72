"""The client's chat completions: keeps what LangChain would drop from an answer.

LangChain reads only `content`, and takes it for a text: reasoning, refusals, citations and why an
answer ended stand beside it, or in a list of parts. They are put into the text, marked.
"""

import json
from typing import Any

from agent_server.answers.content import MARK, UNREADABLE, marked
from agent_server.answers.parts import FINISH
from agent_server.answers.shaped import ShapedStream, cited_beside, shape_whole
from agent_server.database.text import REPLACEMENT
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
            return ShapedStream(answer, _put_all_into_content)
        return shape_whole(answer, _shape_message)


def _shape_message(message: Any, finish: str | None) -> None:
    _put_all_into_content(message, finish)
    for call in message.tool_calls or ():
        _mend(call.function)


def _put_all_into_content(said: Any, finish: str | None) -> None:
    content = said.content
    if isinstance(content, str):
        said.content = content = content.replace(MARK, REPLACEMENT)
    parts = list(content) if isinstance(content, list) else []
    if thought := next((value for name in REASONING if (value := getattr(said, name, None))), None):
        parts.insert(0, {"type": "reasoning", "reasoning": str(thought)})
    if refusal := getattr(said, "refusal", None):
        parts.append({"type": "text", "text": refusal})
    if cited := cited_beside(said):
        parts.append({"type": "text", "text": "", "annotations": cited})
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
    except RecursionError:
        raise ModelError("the arguments of a tool call are too deep") from None
    if not isinstance(arguments, dict | None):
        function.arguments = json.dumps({UNREADABLE: function.arguments})
