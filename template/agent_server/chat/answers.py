"""Answers a chat with background responses, which run whether or not anyone reads them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID, uuid4

from fastapi import Request

from agent_server.background import store
from agent_server.background.stream import stream_events, stream_text
from agent_server.chat.questions import ask
from agent_server.chat.store import Chats
from agent_server.chat.stored_answers import RESPONSE_PREFIX, knowing_answer
from agent_server.database.pool import Connection
from agent_server.responses.requests import Turn
from agent_server.server.startup import opened_runtime


async def start_answer(request: Request, turn: Turn, as_events: bool) -> AsyncIterator[str]:
    """Store the question and start answering it; return the stream to send, of events or of text.

    Raises ApiError as `BackgroundRuns.create` and `ask` do; then nothing is stored.
    """
    runtime, question_id = await opened_runtime(request), uuid4()
    await runtime.check_turn(turn)
    turn = await knowing_answer(runtime.pool, turn)
    turn = replace(turn, response_id=f"{RESPONSE_PREFIX}{question_id.hex}")

    async def ask_question(connection: Connection) -> None:
        await ask(connection, turn, question_id, turn.replaces.id if turn.replaces else None)

    await runtime.background.create(turn, on_create=ask_question)
    stream = stream_events if as_events else stream_text
    return stream(runtime.background, turn.response_id, 0)


async def running_answer(request: Request, chats: Chats, chat_id: UUID) -> str | None:
    """Return the id of the response that is running in a chat, in whichever process, if any."""
    key = chats.user.thread_key(str(chat_id))
    rows = await store.rows(chats.pool, store.BUSY, thread_key=key)
    return str(rows[0]["id"]) if rows else None


async def follow_answer(
    request: Request, chats: Chats, chat_id: UUID, response_id: str, position: int
) -> AsyncIterator[str] | None:
    """Return the stream of an answer's events from `position`; None when it is not running."""
    if await running_answer(request, chats, chat_id) != response_id:
        return None
    return stream_events((await opened_runtime(request)).background, response_id, position)


async def stop_answer(request: Request, chats: Chats, chat_id: UUID) -> None:
    """Stop the answer that is running in a chat; its output so far is stored."""
    if response_id := await running_answer(request, chats, chat_id):
        await (await opened_runtime(request)).background.cancel(response_id, chats.user.id)
