"""Answers a chat with runs that last only while their reader stays connected."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from uuid import UUID, uuid4

import psycopg
from fastapi import Request

from agent_server.chat.questions import ChatBusyError, ask, renew, withdraw
from agent_server.chat.store import store_answer
from agent_server.database.pool import Pool
from agent_server.errors import FILES_REFUSED, ApiError
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.requests import Turn
from agent_server.responses.task import ResponseTask, RunTurn
from agent_server.server.startup import opened_runtime
from agent_server.settings import limit
from agent_server.transport.stopping import end_when_stopping

POLL_SECONDS = 0.1


async def start_answer(request: Request, turn: Turn, as_events: bool) -> AsyncIterator[str]:
    """Store the question and start answering it; return the stream to send, of events or of text.

    The run ends when its reader disconnects; its output so far is stored. Raises ApiError as `ask`
    does, and that of a run that fails before it has any output.
    """
    runtime = await opened_runtime(request)
    response = ResponseBuilder(turn.thread_id)
    question_id = await _ask_when_free(runtime.pool, turn)
    work = _answer(runtime.run_turn, runtime.pool, turn, question_id, response)
    task = ResponseTask(work, response)
    end_when_stopping(request, task)
    try:
        await task.started(request)
    except ApiError as error:
        if _was_refused(error):
            with suppress(psycopg.Error):  # the error to tell is the first one
                async with runtime.pool.connection() as connection:
                    await withdraw(connection, turn, question_id)
        raise
    return task.to_sse() if as_events else task.to_text()


def _was_refused(error: ApiError) -> bool:
    """Return whether the client is told to send another or the same question; then none is kept."""
    return error.status_code in (409, 503) or error.code in ("too_many_at_once", FILES_REFUSED)


async def _ask_when_free(pool: Pool, turn: Turn) -> UUID:
    """Store the question once the last one has been answered; return its id.

    A question is asked again only in place of the one that was the last when the request came.
    """
    question_id, replaces = uuid4(), None
    end = time.monotonic() + limit("CHAT_WAIT_SECONDS")
    while True:
        try:
            async with pool.connection() as connection:
                async with connection.transaction() if turn.again else nullcontext():
                    await ask(connection, turn, question_id, replaces)
                return question_id
        except ChatBusyError as busy:
            if time.monotonic() > end or replaces not in (None, busy.asked):
                raise
            replaces = busy.asked if turn.again else None
        await asyncio.sleep(POLL_SECONDS)


async def _answer(
    run_turn: RunTurn, pool: Pool, turn: Turn, question_id: UUID, response: ResponseBuilder
) -> None:
    try:
        async with _renewed(pool, turn, question_id):
            await run_turn(turn, response)
    finally:
        # Also an answer that the reader's leaving or the model's failure cut off.
        await asyncio.shield(pool.apart(_store(pool, turn, question_id, response)))


@asynccontextmanager
async def _renewed(pool: Pool, turn: Turn, question_id: UUID) -> AsyncIterator[None]:
    """Keep other questions of the chat waiting while the body runs."""

    async def keep_renewing() -> None:
        while True:
            await asyncio.sleep(limit("LEASE_RENEWAL_SECONDS"))
            with suppress(psycopg.OperationalError):  # the next try may work
                await renew(pool, turn, question_id)

    renewal = asyncio.create_task(keep_renewing())
    try:
        yield
    finally:
        renewal.cancel()


async def _store(pool: Pool, turn: Turn, question_id: UUID, response: ResponseBuilder) -> None:
    async with pool.connection() as connection:
        await store_answer(connection, turn, question_id, response.body)
