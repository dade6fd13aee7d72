"""What a turn adds to its thread, and how it knows its own answer there."""

from collections.abc import Sequence
from typing import cast

from agents import TResponseInputItem

from agent_server.requests import Item, Message


def to_items(items: Sequence[Item]) -> list[TResponseInputItem]:
    """Return the items of a request as the SDK wants them."""
    return [_to_item(item) for item in items]


def signed(items: Sequence[TResponseInputItem], response_id: str) -> list[TResponseInputItem]:
    """Return what a turn adds to its thread; the last item carries the background response's id."""
    sign = [cast(TResponseInputItem, {**item, "id": response_id}) for item in items[-1:]]
    return [*items[:-1], *sign] if response_id else [*items]


def stored_answer(
    held: Sequence[TResponseInputItem], response_id: str
) -> Sequence[TResponseInputItem]:
    """Return the answer that an attempt stored before it was cut off; empty when there is none."""
    if not response_id or not held or held[-1].get("id") != response_id:
        return ()
    asked = max(index for index, item in enumerate(held) if item.get("role") == "user")
    return held[asked + 1 :]


def _to_item(item: Item) -> TResponseInputItem:
    if isinstance(item, Message):
        return {"role": "user" if item.role == "user" else "assistant", "content": item.text}
    return cast(TResponseInputItem, item.model_dump())
