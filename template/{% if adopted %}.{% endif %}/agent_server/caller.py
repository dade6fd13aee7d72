"""Finds the user and the thread of a request to your own server."""

import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from agent_server.errors import ApiError
from agent_server.identity import User, current_user

MAX_ID_LENGTH = 256
# Postgres can't store NUL characters or halves of surrogate pairs.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


async def user_of(headers: Mapping[str, str]) -> User:
    """Return the user that a request's headers name; raises ApiError if they name none or two."""
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return await current_user(Request({"type": "http", "headers": pairs}))


def checked_id(found: object) -> str:
    """Return the id of a thread, which may be empty; raises ApiError if it is not valid."""
    if not isinstance(found, str) or len(found) > MAX_ID_LENGTH or UNSTORABLE.search(found):
        text = f"A thread id is text of at most {MAX_ID_LENGTH} characters."
        raise ApiError(400, "invalid_request", text)
    return found


def thread_id_of(request: Any) -> str:
    """Return the id of the thread that a Responses API request names; empty if it names none.

    Reads `custom_inputs.thread_id` or `.session_id`, then `context.conversation_id`. Raises
    ApiError when these name two threads, or the id is not valid.
    """
    inputs = getattr(request, "custom_inputs", None) or {}
    context = getattr(request, "context", None)
    named = [inputs[name] for name in ("thread_id", "session_id") if inputs.get(name) is not None]
    if len(named) > 1 and named[0] != named[1]:
        text = "custom_inputs.thread_id and custom_inputs.session_id differ."
        raise ApiError(400, "invalid_request", text)
    return checked_id(named[0] if named else getattr(context, "conversation_id", None) or "")
