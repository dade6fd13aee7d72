"""The parts of a model's answer, as any endpoint says them: text, reasoning, citations."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

Part = dict[str, Any]

TEXTS = {"text": "text", "output_text": "text", "refusal": "refusal", "input_text": "text"}
REASONING = ("reasoning", "thinking", "reasoning_content", "summary_text", "reasoning_text")
MOST_PARTS = 10_000  # that a text is looked through for
FINISH = "finish"  # a part of ours, which says why the answer ended
SAID = (*TEXTS, *REASONING)
KNOWN = {*SAID, FINISH}
# In a part that its provider wants to be sent back as it was, such as signed thinking.
NEEDED = {"signature", "encrypted_content", "id", "extras", "thought_signature", "data"}
# Why an answer ended early, as providers say it, and as the Responses API does.
CUT_OFF = {
    "length": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "MAX_TOKENS": "max_output_tokens",
    "content_filter": "content_filter",
    "SAFETY": "content_filter",
}


@dataclass
class Content:
    """What one message holds."""

    text: str = ""
    reasoning: str = ""
    annotations: list[Part] = field(default_factory=list)
    finish: str = ""  # why the answer ended, if not because it was complete
    plain: bool = True  # whether nothing is lost when only the text is kept

    def add(self, part: Part) -> None:
        """Add a part."""
        kind = str(part.get("type"))
        if kind in TEXTS:
            self.text += str(part.get(TEXTS[kind]) or "")
            self.annotations += map(to_annotation, _cited(part))
        elif kind in REASONING:
            self.reasoning += "".join(_thoughts(part))
        elif kind == FINISH:
            self.finish = str(part.get("reason") or "")
        self.plain = self.plain and kind in KNOWN and not NEEDED & part.keys()


def read_parts(content: Iterable[str | Part]) -> Content:
    """Return what parts hold; those that are no more than a text are strings."""
    found = Content()
    for part in content:
        found.add({"type": "text", "text": part} if isinstance(part, str) else part)
    return found


def unpacked(text: str) -> list[str | Part]:
    """Return the parts that a text begins with, as lists in JSON, and the rest of it.

    Some clients write a list of parts into a text. Any other JSON is a text.
    """
    found: list[str | Part] = []
    end = 0
    if text.count("{") > MOST_PARTS:
        return [text]
    while (read := _list_of_parts(text, end)) is not None:
        parts, end = read
        found += parts
    return [*found, text[end:]]


def new_call_id() -> str:
    """Return an id for a tool call whose own is taken or missing."""
    return uuid4().hex[:9]  # Mistral takes no longer ones


def to_annotation(cited: Any) -> Part:
    """Return a citation as the Responses API has it; Chat Completions nests the place."""
    if not isinstance(cited, dict):
        return {"type": "url_citation", "title": str(cited)}
    nested = cited.get("url_citation")
    place = nested if isinstance(nested, dict) else cited
    if not place.get("url"):
        return cited
    kept = ("url", "title", "start_index", "end_index")
    return {"type": "url_citation", **{name: place[name] for name in kept if name in place}}


def _list_of_parts(text: str, start: int) -> tuple[list[Part], int] | None:
    """Return the list that begins there, and where it ends; None if it is no list of parts."""
    if not text.startswith("[{", start):
        return None
    try:
        parts, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    known = isinstance(parts, list) and all(
        isinstance(part, dict) and part.get("type") in SAID for part in parts
    )
    return (parts, end) if known else None


def _thoughts(part: Part) -> Iterator[str]:
    for name in ("summary", "content"):
        pieces = part.get(name)
        for piece in pieces if isinstance(pieces, list) else ():
            yield str(piece.get("text") or "") if isinstance(piece, dict) else str(piece)
    for name in ("reasoning", "thinking", "reasoning_content", "text"):
        if isinstance(value := part.get(name), str):
            yield value
        elif isinstance(value, dict):
            yield str(value.get("text") or "")


def _cited(part: Part) -> list[Any]:
    listed = [part.get("annotations"), part.get("citations")]
    return [one for several in listed if isinstance(several, list) for one in several]
