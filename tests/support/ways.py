"""The ways of asking an agent, each with what the client is told in the end."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.background_project import Reader, begin
from tests.support.project import Server

ADA = {"X-Forwarded-User": "ada"}
EVENTS = {**ADA, "Accept": "text/event-stream"}
Body = dict[str, Any]
Ask = Callable[[Server, Any, str], Body]


def whole(server: Server, question: Any, thread: str) -> Body:
    """Return the response of a foreground turn, or its error."""
    return dict(server.post(question, thread).json())


def streamed(server: Server, question: Any, thread: str) -> Body:
    """Return the last state of a streamed response, or its error."""
    answer = server.post(question, thread, stream=True)
    return last_of(answer) if answer.status_code == 200 else dict(answer.json())


def in_chat(server: Server, question: Any, thread: str, **more: Any) -> Body:
    """Return the last state of an answer in a chat."""
    body = {"message": question, "chatId": thread, **more}
    answer = server.http.post("/api/chat", json=body, headers=EVENTS)
    return last_of(answer) if answer.status_code == 200 else dict(answer.json())


def in_background(server: Server, question: Any, thread: str) -> Body:
    """Return a background response."""
    events = Reader(server, begin(server, question, thread)).wait().events
    return dict(events[-1]["response"])


def last_of(answer: Any) -> Body:
    """Return the last state of a response that was streamed."""
    lines = [line for line in answer.text.splitlines() if line.startswith("data: {")]
    return dict(json.loads(lines[-1][6:])["response"])


WAYS = [whole, streamed, in_chat, in_background]
every_way = pytest.mark.parametrize("ask", WAYS, ids=lambda way: way.__name__)
