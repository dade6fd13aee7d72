"""The answers of a chat, each made while somebody reads it."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from fastapi import Request

from agent_server.chats import store_answer
from agent_server.requests import Turn
from agent_server.responses import ResponseBuilder
from agent_server.runs import Run
from agent_server.turns import Turns


async def start_answer(
    turns: Turns, turn: Turn, question_id: UUID, request: Request, as_events: bool
) -> AsyncIterator[str]:
    """Begin to answer a question, and return what to send: events, or text.

    The run ends when its reader leaves; what it said by then is kept. Raises the ApiError of a run
    that fails before it says anything.
    """
    response = ResponseBuilder(turn.thread_id)
    run = Run(_answer(turns, turn, question_id, response), response)
    await run.started(request)
    return run.to_sse() if as_events else run.to_text()


async def _answer(turns: Turns, turn: Turn, question_id: UUID, response: ResponseBuilder) -> None:
    try:
        await turns.run(turn, response)
    finally:
        # Also what was said before the reader left or the model failed.
        await asyncio.shield(_store(turns, turn, question_id, response))


async def _store(turns: Turns, turn: Turn, question_id: UUID, response: ResponseBuilder) -> None:
    async with turns.pool.connection() as connection:
        await store_answer(connection, turn.user, question_id, response.body)
