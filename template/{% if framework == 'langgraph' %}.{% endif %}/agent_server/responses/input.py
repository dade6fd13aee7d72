"""The items of a request as LangChain messages."""

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from agent_server.database.text import storable
from agent_server.responses.items import (
    FilePart,
    FunctionCall,
    FunctionCallOutput,
    ImagePart,
    Item,
    Part,
)


def to_messages(items: Sequence[Item]) -> list[AnyMessage]:
    """Return the items of a request as LangChain messages; calls made at once are one message."""
    # Each item that becomes a message, and the calls in it.
    messages: list[tuple[Item, list[FunctionCall]]] = []
    for item in items:
        if not isinstance(item, FunctionCall):
            messages.append((item, []))
        elif messages and _may_call(messages[-1][0]):
            messages[-1][1].append(item)
        else:
            messages.append((item, [item]))
    return [_to_message(item, calls) for item, calls in messages]


def _may_call(item: Item) -> bool:
    return item.role != "user" if item.type == "message" else isinstance(item, FunctionCall)


def _to_message(item: Item, calls: Sequence[FunctionCall]) -> AnyMessage:
    if isinstance(item, FunctionCallOutput):
        return ToolMessage(item.output, tool_call_id=item.call_id)
    text = "" if isinstance(item, FunctionCall) else item.text
    if not (_may_call(item) or isinstance(item, FunctionCall)):
        return HumanMessage([_to_part(part) for part in item.parts] if item.files else text)
    more = {"additional_kwargs": {"tool_calls": [_to_call(call) for call in calls]}}
    message = AIMessage(text, **(more if calls else {}))
    return message.model_copy(update={"tool_calls": storable(message.tool_calls)})


def _to_part(part: Part) -> dict[str, Any]:
    """Return a part of a question as chat completions have it."""
    match part:
        case ImagePart(url=url, detail=detail):
            # They know no other detail than these.
            more = {"detail": "high" if detail == "original" else detail} if detail else {}
            return {"type": "image_url", "image_url": {"url": url, **more}}
        case FilePart(url=url, filename=name):
            return {"type": "file", "file": {"file_data": url, "filename": name or "file"}}
    return {"type": "text", "text": part.text}


def _to_call(call: FunctionCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.call_id, "type": "function", "function": function}
