"""The items of a request as LangChain messages."""

from collections.abc import Sequence

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from agent_server.responses.items import FunctionCall, FunctionCallOutput, Item


def to_messages(items: Sequence[Item]) -> list[AnyMessage]:
    """Return the items of a request as LangChain messages; calls made at once are one message."""
    messages: list[AnyMessage] = []
    for item in items:
        last = messages[-1] if messages else None
        if isinstance(item, FunctionCall) and isinstance(last, AIMessage):
            messages[-1] = _with_call(last, item)
        else:
            messages.append(_to_message(item))
    return messages


def _with_call(message: AIMessage, call: FunctionCall) -> AIMessage:
    function = {"name": call.name, "arguments": call.arguments}
    calls = message.additional_kwargs.get("tool_calls", [])
    calls = [*calls, {"id": call.call_id, "type": "function", "function": function}]
    return AIMessage(message.text, additional_kwargs={"tool_calls": calls})


def _to_message(item: Item) -> AnyMessage:
    if isinstance(item, FunctionCall):
        return _with_call(AIMessage(""), item)
    if isinstance(item, FunctionCallOutput):
        return ToolMessage(item.output, tool_call_id=item.call_id)
    return HumanMessage(item.text) if item.role == "user" else AIMessage(item.text)
