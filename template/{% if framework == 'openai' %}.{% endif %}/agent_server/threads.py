"""How a turn meets its thread: only what is new is added to it."""

from collections.abc import Sequence
from typing import Any, cast

from agents import TResponseInputItem

from agent_server.history import Said, first_new
from agent_server.requests import Item, Message


def new_items(
    held: Sequence[TResponseInputItem], items: Sequence[Item]
) -> list[TResponseInputItem]:
    """Return the items of a request that the thread does not hold, as the SDK wants them."""
    sent = [_to_item(item) for item in items]
    return sent[first_new(_said(held), _said(sent)) :]


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


def to_text(content: Any) -> str:
    """Return the text of an item's content, which is a string or a list of parts."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def _to_item(item: Item) -> TResponseInputItem:
    if isinstance(item, Message):
        return {"role": "user" if item.role == "user" else "assistant", "content": item.text}
    return cast(TResponseInputItem, item.model_dump())


def _said(items: Sequence[TResponseInputItem]) -> list[Said]:
    return [(str(item.get("role", "tool")), to_text(item.get("content"))) for item in items]
