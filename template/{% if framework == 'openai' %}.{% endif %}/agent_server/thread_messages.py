"""What the items of a session say."""

from collections.abc import Sequence
from typing import Any

from agents import TResponseInputItem

from agent_server.history import Said, first_new, first_replaced

Items = Sequence[TResponseInputItem]


def kept_and_new(held: Items, sent: Items, again: bool = False) -> tuple[Items, Items]:
    """Return what stays of the session, and those of the items sent that it does not hold.

    What does not stay is a question that is asked again, with its answer (see `first_replaced`).
    """
    thread, texts = _said(held), _said(sent)
    stays = first_replaced(thread, texts, again)
    return held[:stays], sent[first_new(thread[:stays], texts) :]


def to_text(content: Any) -> str:
    """Return the text of an item's content, which is a string or a list of parts."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def says(item: TResponseInputItem) -> bool:
    """Whether a model can be told of it: some refuse messages without a word."""
    return item.get("type") != "message" or bool(to_text(item.get("content")).strip())


def _said(items: Items) -> list[Said]:
    return [(str(item.get("role", "tool")), to_text(item.get("content"))) for item in items]
