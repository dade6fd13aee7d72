"""The items of a request as items of the OpenAI Agents SDK."""

from collections.abc import Sequence
from typing import cast

from agents import TResponseInputItem

from agent_server.responses.items import Item, Message


def to_items(items: Sequence[Item]) -> list[TResponseInputItem]:
    """Return the items of a request as the SDK wants them."""
    return [_to_item(item) for item in items]


def _to_item(item: Item) -> TResponseInputItem:
    if isinstance(item, Message):
        return {"role": "user" if item.role == "user" else "assistant", "content": item.text}
    return cast(TResponseInputItem, item.model_dump())
