"""What a model's message holds, however its endpoint says it: text, reasoning, citations."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

Part = dict[str, Any]

# Around parts that `answers/completions.py` puts into a text; text of a model never holds it.
MARK = "\x1e"
MARKED = re.compile(f"{MARK}([^{MARK}]*){MARK}")
TEXTS = {"text": "text", "output_text": "text", "refusal": "refusal", "input_text": "text"}
REASONING = ("reasoning", "thinking", "reasoning_content", "summary_text", "reasoning_text")
UNREADABLE = "unreadable_arguments"  # the only argument of a call whose arguments are no object
FINISH = "finish"  # a part that says why the answer ended
KNOWN = {*TEXTS, *REASONING, FINISH}
# In a part that its provider wants to be sent back as it was, such as signed thinking.
NEEDED = {"signature", "encrypted_content", "id", "extras", "thought_signature", "data"}


@dataclass
class Content:
    """The parts of one message."""

    text: str = ""
    reasoning: str = ""
    annotations: list[Part] = field(default_factory=list)
    finish: str = ""  # why the answer ended, if not because it was complete
    plain: bool = True  # whether nothing is lost when only the text is kept


def read_content(message: BaseMessage) -> Content:
    """Return what a message, or a piece of one, holds."""
    found = Content()
    for part in _parts(message.content):
        _add(found, part)
    more = message.additional_kwargs
    found.reasoning += str(more.get("reasoning_content") or more.get("reasoning") or "")
    found.text = found.text or str(more.get("refusal") or "")
    if isinstance(message, AIMessage):
        said = message.response_metadata
        found.finish = str(found.finish or said.get("finish_reason") or said.get("stop_reason"))
    return found


def marked(parts: Sequence[Part]) -> str:
    """Return a text that `read_content` takes for these parts, wherever it stands in a text."""
    return f"{MARK}{json.dumps(parts)}{MARK}"


def _parts(content: Any) -> Iterator[Part]:
    if isinstance(content, str):
        content = _unpacked(content)
    for part in content:
        yield {"type": "text", "text": part} if isinstance(part, str) else part


def _unpacked(text: str) -> list[str | Part]:
    """Return the parts in a text: marked ones, or lists of parts as JSON at its beginning."""
    if MARK in text:
        pieces = MARKED.split(text)
        return [
            part
            for place, piece in enumerate(pieces)
            for part in (json.loads(piece) if place % 2 else [piece])
        ]
    found: list[str | Part] = []
    while (read := _list_of_parts(text)) is not None:
        parts, text = read
        found += parts
    return [*found, text]


def _list_of_parts(text: str) -> tuple[list[Part], str] | None:
    """Return the list that the text begins with, and the rest; None if it is no list of parts."""
    if not text.startswith("[{"):
        return None
    try:
        parts, end = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return None
    known = isinstance(parts, list) and all(
        isinstance(part, dict) and part.get("type") in KNOWN for part in parts
    )
    return (parts, text[end:]) if known else None


def _add(found: Content, part: Part) -> None:
    kind = part.get("type")
    if kind in TEXTS:
        found.text += str(part.get(TEXTS[kind]) or "")
        found.annotations += map(_to_annotation, _cited(part))
    elif kind in REASONING:
        found.reasoning += "".join(_thoughts(part))
    elif kind == FINISH:
        found.finish = part["reason"]
    found.plain = found.plain and kind in KNOWN and not NEEDED & part.keys()


def _thoughts(part: Part) -> Iterator[str]:
    for name in ("summary", "content"):
        for piece in part.get(name) or ():
            yield str(piece.get("text") or "") if isinstance(piece, dict) else str(piece)
    for name in ("reasoning", "thinking", "reasoning_content", "text"):
        if isinstance(value := part.get(name), str):
            yield value
        elif isinstance(value, dict):
            yield str(value.get("text") or "")


def _cited(part: Part) -> list[Any]:
    listed = [part.get("annotations"), part.get("citations")]
    return [one for several in listed if isinstance(several, list) for one in several]


def _to_annotation(cited: Any) -> Part:
    """Return a citation as the Responses API has it; Chat Completions nests the place."""
    if not isinstance(cited, dict):
        return {"type": "url_citation", "title": str(cited)}
    nested = cited.get("url_citation")
    place = nested if isinstance(nested, dict) else cited
    if not place.get("url"):
        return cited
    kept = ("url", "title", "start_index", "end_index")
    return {"type": "url_citation", **{name: place[name] for name in kept if name in place}}
