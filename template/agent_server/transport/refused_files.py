"""Images and files that a model does not take, in what was said before: a text stands for them.

Providers say that in words alone, each in others, and so nothing is known by their words: the same
is asked again without the files. If that is answered, it was because of them.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Message = dict[str, Any]
Part = dict[str, Any]

# OpenAI and vLLM answer 400; others 415, 422, 413 if they are too large, and OpenRouter 404: it
# has no such endpoint.
STATUSES = (400, 404, 413, 415, 422)
IMAGE = "[An image was left out here: the model does not accept it.]"
FILE = "[A file was left out here: the model does not accept it.]"
MOST_KNOWN = 1000  # files that are remembered


@dataclass
class RefusedFiles:
    """The files that one endpoint is known to refuse; the oldest are forgotten first."""

    _known: dict[bytes, None] = field(default_factory=dict)

    def left_out(self, messages: Sequence[Message]) -> tuple[list[Message], int]:
        """Return the messages without the files that are known, and how many those are."""
        return _replaced(messages, self._known) if self._known else ([*messages], 0)

    def add(self, messages: Sequence[Message]) -> None:
        """Remember the files in the messages, but not those of the last question."""
        parts = [part for place in _earlier(messages) for part in _files(messages[place])]
        self._known |= dict.fromkeys(map(_mark, parts))
        for mark in [*self._known][:-MOST_KNOWN]:
            del self._known[mark]


def without_files(messages: Sequence[Message]) -> tuple[list[Message], int]:
    """Return the messages without files, and how many they were.

    The last question keeps its own: whoever asks it must know that they are refused.
    """
    return _replaced(messages, None)


def _replaced(
    messages: Sequence[Message], known: dict[bytes, None] | None
) -> tuple[list[Message], int]:
    found, count = [*messages], 0
    for place in _earlier(messages):
        gone = [p for p in _files(messages[place]) if known is None or _mark(p) in known]
        if gone:
            content = [_note(p) if p in gone else p for p in messages[place]["content"]]
            found[place] = {**messages[place], "content": _shortest(content)}
            count += len(gone)
    return found, count


def _earlier(messages: Sequence[Message]) -> list[int]:
    """Return the places of what users and tools said, without the last question."""
    asked = max((i for i, m in enumerate(messages) if m["role"] == "user"), default=-1)
    return [i for i, m in enumerate(messages) if m["role"] in ("user", "tool") and i != asked]


def _files(message: Message) -> list[Part]:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return [part for part in parts if isinstance(part, dict) and part.get("type") != "text"]


def _note(part: Part) -> Part:
    return {"type": "text", "text": IMAGE if "image" in str(part.get("type")) else FILE}


def _shortest(content: list[Any]) -> Any:
    """Return content as a string if it is only text: some endpoints take nothing else."""
    texts = [part if isinstance(part, str) else part.get("text") for part in content]
    return "\n".join(texts) if all(isinstance(text, str) for text in texts) else content


def _mark(part: Part) -> bytes:
    return hashlib.sha256(repr(part).encode(errors="replace")).digest()
