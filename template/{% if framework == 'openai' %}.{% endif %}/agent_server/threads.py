"""How a turn meets its thread: only what is new is added to it."""

from collections.abc import Sequence
from typing import Any

from agents import Session, TResponseInputItem

from agent_server.history import Said, first_new
from agent_server.requests import FunctionCall, Item, Message


async def held_items(session: Session | None) -> list[TResponseInputItem]:
    """Return what the thread holds; nothing without short-term memory."""
    return await session.get_items() if session else []


def new_items(
    held: Sequence[TResponseInputItem], items: Sequence[Item]
) -> list[TResponseInputItem]:
    """Return the items of a request that the thread does not hold, as the SDK wants them."""
    sent = [_to_item(item) for item in items]
    return sent[first_new(_said(held), _said(sent)) :]


def _to_item(item: Item) -> TResponseInputItem:
    if isinstance(item, Message):
        return {"role": "user" if item.role == "user" else "assistant", "content": item.text}
    if isinstance(item, FunctionCall):
        return {
            "type": "function_call",
            "call_id": item.call_id,
            "name": item.name,
            "arguments": item.arguments,
        }
    return {"type": "function_call_output", "call_id": item.call_id, "output": item.output}


def _said(items: Sequence[TResponseInputItem]) -> list[Said]:
    return [(_role(item), _text(item.get("content"))) for item in items]


def _role(item: TResponseInputItem) -> str:
    return str(item.get("role", "tool"))


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""
