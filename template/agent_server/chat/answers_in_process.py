"""Answers chats in this process, whether or not anyone reads the answers, until it ends."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, nullcontext, suppress
from uuid import UUID, uuid4

import psycopg
from fastapi import Request

from agent_server.chat.questions import (
    ChatBusyError,
    answered_question,
    ask,
    release,
    renew,
    withdraw,
)
from agent_server.chat.store import Chats
from agent_server.chat.stored_answers import RESPONSE_PREFIX, knowing_answer, store_answer
from agent_server.database.pool import Pool
from agent_server.errors import FILES_REFUSED, ApiError
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.events import to_sse, to_text
from agent_server.responses.requests import Turn
from agent_server.responses.task import ResponseTask, RunTurn
from agent_server.server.startup import opened_runtime
from agent_server.settings import limit
from agent_server.transport.stopping import end_when_stopping

Running = dict[str, ResponseTask]  # by the keys of their threads
POLL_SECONDS = 0.1
FOLLOW_SECONDS = 0.5  # between looks at an answer that another process writes
STOPPED, STOPPED_TEXT = "stopped", "You stopped this answer."


async def start_answer(request: Request, turn: Turn, as_events: bool) -> AsyncIterator[str]:
    """Store the question and start answering it; return the stream to send, of events or of text.

    The run goes on when its reader leaves. Raises ApiError as `ask` does, and that of a run that
    ends before it has any output; events tell of a stop themselves.
    """
    runtime = await opened_runtime(request)
    await runtime.check_turn(turn)
    response, running = ResponseBuilder(turn.thread_id), _running(request)
    question_id = await _ask_when_free(runtime.pool, turn)
    response.body["id"] = f"{RESPONSE_PREFIX}{question_id.hex}"
    key, pool = turn.thread_key, runtime.pool
    turn = await knowing_answer(pool, turn)
    work = _answer(runtime.run_turn, pool, turn, question_id, response)
    stop = response.end if as_events else response.fail  # text can't say that there is none
    task = running[key] = ResponseTask(_until_done(work, running, key, stop), response)
    end_when_stopping(request, task)
    try:
        if not await response.events.reach(0):
            await task.wait()
            raise ApiError(409, STOPPED, STOPPED_TEXT)
    except ApiError as error:
        if _was_refused(error):
            with suppress(psycopg.Error):  # the error to tell is the first one
                async with runtime.pool.connection() as connection:
                    await withdraw(connection, turn, question_id)
        raise
    return _to_sse(task, 0) if as_events else _to_text(task)


async def running_answer(request: Request, chats: Chats, chat_id: UUID) -> str | None:
    """Return the id of the response that is running in a chat, in whichever process, if any."""
    if task := _running(request).get(chats.user.thread_key(str(chat_id))):
        return str(task.response.body["id"])
    question = await answered_question(chats.pool, chats.user, chat_id)
    return f"{RESPONSE_PREFIX}{question.hex}" if question else None


async def follow_answer(
    request: Request, chats: Chats, chat_id: UUID, response_id: str, position: int
) -> AsyncIterator[str] | None:
    """Return the stream of an answer's events from `position`; None once it is not running."""
    while await running_answer(request, chats, chat_id) == response_id:
        if task := _running(request).get(chats.user.thread_key(str(chat_id))):
            return _to_sse(task, position)
        await asyncio.sleep(FOLLOW_SECONDS)
    return None


async def stop_answer(request: Request, chats: Chats, chat_id: UUID) -> None:
    """Stop the answer that is running in a chat; its output so far is stored."""
    if task := _running(request).get(chats.user.thread_key(str(chat_id))):
        task.cancel()
        with suppress(ApiError):
            await task.wait()
    else:
        await release(chats.pool, chats.user, chat_id)  # the process that writes it sees that


def _running(request: Request) -> Running:
    """Return the answers that this process is writing, by the keys of their threads."""
    if not hasattr(request.app.state, "answers"):
        request.app.state.answers = {}
    answers: Running = request.app.state.answers
    return answers


async def _until_done(
    work: Coroutine[None, None, None], running: Running, key: str, stop: Callable[[str, str], None]
) -> None:
    """Do the work while its task is among those that are running; tell readers of a stop."""
    mine = running.get(key)
    try:
        async with asyncio.timeout(limit("CHAT_ANSWER_SECONDS")):
            await work
    except TimeoutError as error:
        text = "The answer took longer than CHAT_ANSWER_SECONDS, and was ended."
        raise ApiError(504, "answer_too_slow", text) from error
    except asyncio.CancelledError:
        stop(STOPPED, STOPPED_TEXT)  # now that what there is of it is stored
        raise
    finally:
        if running.get(key) is mine:
            del running[key]


async def _to_sse(task: ResponseTask, position: int) -> AsyncIterator[str]:
    async for event in task.response.events.read(position):
        yield to_sse(event)
    yield "data: [DONE]\n\n"


async def _to_text(task: ResponseTask) -> AsyncIterator[str]:
    """Yield the text as it arrives; raises the ApiError of a run that fails."""
    async for event in task.response.events.read():
        if text := to_text(event):
            yield text
    await task.wait()


def _was_refused(error: ApiError) -> bool:
    """Return whether the client is told to send another or the same question; then none is kept."""
    refused = error.status_code in (409, 503) and error.code != STOPPED
    return refused or error.code in ("too_many_at_once", FILES_REFUSED)


async def _ask_when_free(pool: Pool, turn: Turn) -> UUID:
    """Store the question once the last one has been answered; return its id.

    A question is asked again only in place of the one that was the last when the request came.
    """
    question_id, replaces = uuid4(), turn.replaces.id if turn.replaces else None
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
        # Also an answer that a stop or the model's failure cut off.
        await asyncio.shield(pool.apart(_store(pool, turn, question_id, response)))


@asynccontextmanager
async def _renewed(pool: Pool, turn: Turn, question_id: UUID) -> AsyncIterator[None]:
    """Keep other questions of the chat waiting while the body runs, which is cancelled if it must.

    It must when the chat was deleted, or the answer was stopped in another process.
    """
    body = asyncio.current_task()

    async def keep_renewing() -> None:
        while True:
            await asyncio.sleep(limit("LEASE_RENEWAL_SECONDS"))
            with suppress(psycopg.OperationalError):  # the next try may work
                if not await renew(pool, turn, question_id) and body:
                    body.cancel()

    renewal = asyncio.create_task(keep_renewing())
    try:
        yield
    finally:
        renewal.cancel()


async def _store(pool: Pool, turn: Turn, question_id: UUID, response: ResponseBuilder) -> None:
    async with pool.connection() as connection:
        await store_answer(connection, turn, question_id, response.body)
