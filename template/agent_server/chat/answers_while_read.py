"""Answers a chat with runs that last only while their reader stays connected."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from fastapi import Request

from agent_server.chat.store import store_answer
from agent_server.database.pool import Pool
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.requests import Turn
from agent_server.responses.task import ResponseTask, RunTurn
from agent_server.server.startup import opened_runtime
from agent_server.transport.stopping import end_when_stopping


async def start_answer(
    request: Request, turn: Turn, question_id: UUID, as_events: bool
) -> AsyncIterator[str]:
    """Start answering a question; return the stream to send, of events or of text.

    The run ends when its reader disconnects; its output so far is stored. Raises the ApiError of a
    run that fails before it has any output.
    """
    runtime = await opened_runtime(request)
    response = ResponseBuilder(turn.thread_id)
    work = _answer(runtime.run_turn, runtime.pool, turn, question_id, response)
    task = ResponseTask(work, response)
    end_when_stopping(request, task)
    await task.started(request)
    return task.to_sse() if as_events else task.to_text()


async def _answer(
    run_turn: RunTurn, pool: Pool, turn: Turn, question_id: UUID, response: ResponseBuilder
) -> None:
    try:
        await run_turn(turn, response)
    finally:
        # Also an answer that the reader's leaving or the model's failure cut off.
        await asyncio.shield(_store(pool, turn, question_id, response))


async def _store(pool: Pool, turn: Turn, question_id: UUID, response: ResponseBuilder) -> None:
    async with pool.connection() as connection:
        await store_answer(connection, turn.user, question_id, response.body)
