"""A conversation as the offline model sees it, read from a chat completion request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Conversation:
    """The conversation as the model sees it."""

    questions: list[str]  # the user's messages, oldest first
    results: list[tuple[str, str]]  # tool and output, since the last question
    tools: frozenset[str]

    @property
    def question(self) -> str:
        """The user's last message."""
        return self.questions[-1] if self.questions else ""


def read_conversation(
    messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]]
) -> Conversation:
    """Return the conversation of a request."""
    names = frozenset(tool["function"]["name"] for tool in tools)
    asked = [i for i, message in enumerate(messages) if message["role"] == "user"]
    results = _results(messages[asked[-1] + 1 :] if asked else [])
    questions = [to_text(messages[i]["content"]).strip() for i in asked]
    return Conversation(questions, results, names)


def _results(messages: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    calls = {
        call["id"]: call["function"]["name"]
        for message in messages
        for call in message.get("tool_calls") or []
    }
    return [
        (calls.get(message["tool_call_id"], ""), to_text(message["content"]))
        for message in messages
        if message["role"] == "tool"
    ]


def to_text(content: Any) -> str:
    """Return the text of a message's content, which is a string or a list of parts."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""
