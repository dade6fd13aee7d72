"""Who calls, and in which thread, as a server that is not ours hands it over."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from agent_server.errors import ApiError
from agent_server.identity import User, current_user

MAX_ID_LENGTH = 256


async def user_of(headers: Mapping[str, str]) -> User:
    """Return the user the platform names in the headers of a request; ApiError when it does not."""
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return await current_user(Request({"type": "http", "headers": pairs}))


def thread_id_of(request: Any) -> str:
    """Return the thread that a request of the Responses API names; empty when it names none.

    That is `custom_inputs.thread_id` or `.session_id`, then `context.conversation_id`. Raises
    ApiError when it names two, or something that is no id.
    """
    inputs = getattr(request, "custom_inputs", None) or {}
    context = getattr(request, "context", None)
    named = {inputs.get("thread_id"), inputs.get("session_id")} - {None}
    if len(named) > 1:
        text = "custom_inputs.thread_id and custom_inputs.session_id differ."
        raise ApiError(400, "invalid_request", text)
    found = named.pop() if named else getattr(context, "conversation_id", None) or ""
    if not isinstance(found, str) or len(found) > MAX_ID_LENGTH or "\x00" in found:
        raise ApiError(400, "invalid_request", f"A thread id has 1 to {MAX_ID_LENGTH} characters.")
    return found
