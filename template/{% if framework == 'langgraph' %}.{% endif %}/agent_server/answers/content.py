"""What a LangChain message holds, however its endpoint says it."""

import json
import re
from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage

from agent_server.answers.parts import Content, Part, read_parts, unpacked

# Around parts that `answers/completions.py` puts into a text; text of a model never holds it.
MARK = "\x1e"
MARKED = re.compile(f"{MARK}([^{MARK}]*){MARK}")
UNREADABLE = "unreadable_arguments"  # the only argument of a call whose arguments are no object


def read_content(message: BaseMessage) -> Content:
    """Return what a message, or a piece of one, holds."""
    content = message.content
    found = read_parts(_unmarked(content) if isinstance(content, str) else content)
    more = message.additional_kwargs
    found.reasoning += str(more.get("reasoning_content") or more.get("reasoning") or "")
    found.text = found.text or str(more.get("refusal") or "")
    if isinstance(message, AIMessage):
        said = message.response_metadata
        why = found.finish or said.get("finish_reason") or said.get("stop_reason")
        found.finish = str(why or "")
    return found


def marked(parts: Sequence[Part]) -> str:
    """Return a text that `read_content` takes for these parts, wherever it stands in a text."""
    return f"{MARK}{json.dumps(parts)}{MARK}"


def _unmarked(text: str) -> list[str | Part]:
    if MARK not in text:
        return unpacked(text)
    pieces = MARKED.split(text)
    return [
        part
        for place, piece in enumerate(pieces)
        for part in (_parts(piece) if place % 2 else [piece])
    ]


def _parts(piece: str) -> list[str | Part]:
    """Return the parts that were marked, or the piece itself if a model or a tool marked it."""
    try:
        parts = json.loads(piece)
    except (ValueError, RecursionError):
        return [piece]
    known = isinstance(parts, list) and all(isinstance(part, dict) for part in parts)
    return parts if known else [piece]
