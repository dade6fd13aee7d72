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


def _to_item(item: Item) -> TResponseInputItem:
    if isinstance(item, Message):
        return {"role": "user" if item.role == "user" else "assistant", "content": item.text}
    return cast(TResponseInputItem, item.model_dump())


def _said(items: Sequence[TResponseInputItem]) -> list[Said]:
    return [(str(item.get("role", "tool")), _text(item.get("content"))) for item in items]


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""
