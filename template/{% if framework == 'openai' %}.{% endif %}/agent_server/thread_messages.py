"""What the items of a session say."""

from collections.abc import Sequence
from typing import Any

from agents import TResponseInputItem

from agent_server.history import Said, first_new, first_replaced

Items = Sequence[TResponseInputItem]


def new_items(held: Items, sent: Items) -> list[TResponseInputItem]:
    """Return those of the items sent that the session does not hold."""
    return list(sent[first_new(_said(held), _said(sent)) :])


def kept_items(held: Items, sent: Items, again: bool) -> Items:
    """Return what of the session stays: all but what is asked again, with its answer."""
    return held[: first_replaced(_said(held), _said(sent), again)]


def to_text(content: Any) -> str:
    """Return the text of an item's content, which is a string or a list of parts."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def _said(items: Items) -> list[Said]:
    return [(str(item.get("role", "tool")), to_text(item.get("content"))) for item in items]
