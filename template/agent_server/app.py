"""The HTTP server: its routes, and how failures leave it."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import RequestBodyLimitMiddleware

from agent_server.errors import ApiError, to_api_error, to_body
from agent_server.identity import CurrentUser
from agent_server.logs import configure_logs
from agent_server.requests import ResponseRequest, to_bad_request
from agent_server.responses import Event, ResponseBuilder
from agent_server.settings import setting
from agent_server.startup import CurrentStartup, open_startup

MAX_BODY_BYTES = 4 * 2**20

log = logging.getLogger(__name__)
configure_logs()
app = FastAPI(title="Agent", lifespan=open_startup)
app.add_middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY_BYTES)
app.add_middleware(CorrelationIdMiddleware, header_name="X-Request-Id")


@app.get("/health")
async def health() -> dict[str, str]:
    """Say that the process is up."""
    return {"status": "ok"}


@app.get("/ready")
async def ready(startup: CurrentStartup) -> dict[str, str]:
    """Say whether a turn would work now; 503 with the reason when not."""
    try:
        await (await startup.turns(patience=0)).check()
    except Exception as error:  # the edge of the process: whatever is wrong, it is not ready
        raise ApiError(503, "not_ready", to_api_error(error).detail, retry_after=2) from error
    return {"status": "ready"}


@app.post("/responses")
@app.post("/invocations")
async def create_response(
    body: ResponseRequest, user: CurrentUser, startup: CurrentStartup
) -> Response:
    """Run one turn of the agent, as the OpenAI Responses API describes it."""
    turn = body.to_turn(user)
    turns = await startup.turns()
    place = {"thread_id": turn.thread_id, "session_id": turn.thread_id}
    response = ResponseBuilder(setting("MODEL_ENDPOINT"), place)
    events = run_events(turns.run(turn, response), response)
    try:
        # Nothing is sent before the first event: until then a failure still has its status.
        first = await anext(events)
        if turn.stream:
            return StreamingResponse(_sse(first, events, response), media_type="text/event-stream")
        async for _event in events:
            pass
    except Exception as error:
        raise _reported(error) from error
    return JSONResponse(response.body)


async def run_events(
    run: Coroutine[Any, Any, None], response: ResponseBuilder
) -> AsyncGenerator[Event]:
    """Run `run` in a task of its own, and yield what it announces; a reader who leaves ends it."""
    task = asyncio.create_task(run)
    task.add_done_callback(lambda _: response.events.put_nowait(None))
    try:
        while event := await response.events.get():
            yield event
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _sse(
    first: Event, events: AsyncGenerator[Event], response: ResponseBuilder
) -> AsyncGenerator[str]:
    yield _to_sse(first)
    try:
        async with aclosing(events):  # a reader that leaves ends the turn
            async for event in events:
                yield _to_sse(event)
    except Exception as error:  # the status is sent, so the failure travels as an event
        failure = _reported(error)
        yield _to_sse(response.fail(failure.code, failure.detail))
    yield "data: [DONE]\n\n"


def _to_sse(event: Event) -> str:
    return "event: {}\ndata: {}\n\n".format(*event)


def _reported(error: Exception) -> ApiError:
    failure = to_api_error(error)
    log.error("a turn failed: %s", failure.code, exc_info=error if failure is not error else None)
    return failure


@app.exception_handler(HTTPException)
async def _on_failure(_request: Request, error: HTTPException) -> JSONResponse:
    return JSONResponse(to_body(error), error.status_code, error.headers)


@app.exception_handler(RequestValidationError)
async def _on_malformed(request: Request, error: RequestValidationError) -> JSONResponse:
    return await _on_failure(request, to_bad_request(error.errors()))
