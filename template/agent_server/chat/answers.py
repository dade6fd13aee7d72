"""Answers a chat with background responses, which run whether or not anyone reads them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

from fastapi import Request

from agent_server.background import store
from agent_server.background.stream import stream_events, stream_text
from agent_server.chat.questions import ask
from agent_server.chat.store import RESPONSE_PREFIX
from agent_server.database.pool import Connection
from agent_server.responses.requests import Turn
from agent_server.server.startup import opened_runtime


async def start_answer(request: Request, turn: Turn, as_events: bool) -> AsyncIterator[str]:
    """Store the question and start answering it; return the stream to send, of events or of text.

    Raises ApiError as `BackgroundRuns.create` and `ask` do; then nothing is stored.
    """
    runs, question_id = (await opened_runtime(request)).background, uuid4()
    turn = replace(turn, response_id=f"{RESPONSE_PREFIX}{question_id.hex}")

    async def ask_question(connection: Connection) -> None:
        await ask(connection, turn, question_id)

    await runs.create(turn, on_create=ask_question)
    stream = stream_events if as_events else stream_text
    return stream(runs, turn.response_id, 0)


async def running_answer(request: Request, thread_key: str) -> str | None:
    """Return the id of the response that is running in a thread, if any."""
    pool = (await opened_runtime(request)).pool
    rows = await store.rows(pool, store.BUSY, thread_key=thread_key)
    return str(rows[0]["id"]) if rows else None
