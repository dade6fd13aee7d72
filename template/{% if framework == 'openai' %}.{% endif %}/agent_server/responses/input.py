"""The items of a request as items of the OpenAI Agents SDK."""

from collections.abc import Sequence
from typing import Any, cast

from agents import TResponseInputItem

from agent_server.responses.items import FilePart, ImagePart, Item, Message, Part


def to_items(items: Sequence[Item]) -> list[TResponseInputItem]:
    """Return the items of a request as the SDK wants them."""
    return [_to_item(item) for item in items]


def _to_item(item: Item) -> TResponseInputItem:
    if not isinstance(item, Message):
        return cast(TResponseInputItem, item.model_dump())
    content = [_to_part(part) for part in item.parts] if item.files else item.text
    role = "user" if item.role == "user" else "assistant"
    return cast(TResponseInputItem, {"role": role, "content": content})


def _to_part(part: Part) -> dict[str, Any]:
    match part:
        case ImagePart(url=url, detail=detail):
            return {"type": "input_image", "image_url": url, "detail": detail or "auto"}
        case FilePart(url=url, filename=name):
            return {"type": "input_file", "file_data": url, "filename": name or "file"}
    return {"type": "input_text", "text": part.text}
