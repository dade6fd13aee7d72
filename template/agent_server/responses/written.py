"""What a model writes piece by piece: its messages, and its reasoning."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent_server.database.text import FIRST_HALVES, REPLACEMENT, to_storable
from agent_server.errors import output_too_large
from agent_server.settings import limit

Item = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of item with one part, and what the OpenAI API calls the events about it."""

    prefix: str  # of the item's id
    item: Item
    parts: str  # the item's field with its parts
    part: Item
    part_event: str
    text_event: str
    place: Item  # of the part, in events
    more: Item  # in events about its text

    def to_item(self, text: str, annotations: Sequence[Item] = ()) -> Item:
        """Return the fields of an item with this text, without those that vary."""
        part = {**self.part, "text": text}
        if "annotations" in part:
            part["annotations"] = [*annotations]
        return {**self.item, self.parts: [part]}


MESSAGE = Kind(
    prefix="msg",
    item={"type": "message", "role": "assistant"},
    parts="content",
    part={"type": "output_text", "text": "", "annotations": []},
    part_event="content_part",
    text_event="output_text",
    place={"content_index": 0},
    more={"logprobs": []},
)
REASONING = Kind(
    prefix="rs",
    item={"type": "reasoning"},
    parts="summary",
    part={"type": "summary_text", "text": ""},
    part_event="reasoning_summary_part",
    text_event="reasoning_summary_text",
    place={"summary_index": 0},
    more={},
)
KINDS = {kind.item["type"]: kind for kind in (MESSAGE, REASONING)}


@dataclass
class Written:
    """A text that is being written: `opened` once there is an item for it.

    It is cleaned of what can't be stored. Adding to it raises a 502 ApiError when it would be
    larger than the limit MODEL_ANSWER_BYTES.
    """

    kind: Kind
    opened: bool = False
    _half: str = ""  # the first half of a surrogate pair, whose second may follow
    _bytes: int = 0

    def clean(self, delta: str) -> str:
        """Return what can be emitted of `delta`, and of what was held back before."""
        text, self._half = self._half + delta, ""
        half = text[-1:] if re.fullmatch(FIRST_HALVES, text[-1:]) else ""
        text = to_storable(text.removesuffix(half))
        self._bytes += len(text.encode())
        if self._bytes > (most := limit("MODEL_ANSWER_BYTES")):
            raise output_too_large(f"The model's answer is larger than {most} bytes.")
        self._half = half
        return text

    def rest(self) -> str:
        """Return what is left to emit at the end: the second half of a pair never came."""
        half, self._half = self._half, ""
        return REPLACEMENT if half else ""
