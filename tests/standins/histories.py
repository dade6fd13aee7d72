"""Which histories a chat endpoint refuses, as OpenAI's and Databricks' do."""

import json
from typing import Any


def fault(messages: list[dict[str, Any]]) -> str:
    """Return why the API refuses a history, in OpenAI's words, or nothing."""
    open_calls: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                return "messages with role 'tool' must be a response to a preceeding message"
            open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            return "An assistant message with 'tool_calls' must be followed by tool messages"
        calls = message.get("tool_calls") or []
        open_calls = {call["id"] for call in calls}
        if not calls and message["role"] == "assistant" and not message.get("content"):
            return "Invalid value for 'content': expected a string, got null."
        for call in calls:
            try:
                json.loads(call["function"]["arguments"])
            except ValueError:
                return "Invalid 'arguments': they must be JSON."
    return "An assistant message with 'tool_calls' must be followed by" if open_calls else ""


def has_files(messages: list[dict[str, Any]]) -> bool:
    """Return whether a history holds images or files."""
    contents = [m["content"] for m in messages if isinstance(m.get("content"), list)]
    return any(part.get("type") != "text" for content in contents for part in content)
