"""The HTTP server: its routes, and how failures leave it."""

import asyncio
import logging
from collections.abc import AsyncIterator

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
from agent_server.responses import Event, ResponseBuilder, to_sse
from agent_server.settings import setting
from agent_server.startup import open_startup, running_turns

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
async def ready(request: Request) -> dict[str, str]:
    """Say whether a turn would work now; 503 with the reason when not."""
    try:
        await (await running_turns(request, patience=0)).check()
    except Exception as error:  # the edge of the process: whatever is wrong, it is not ready
        raise ApiError(503, "not_ready", to_api_error(error).detail, retry_after=2) from error
    return {"status": "ready"}


@app.post("/responses")
@app.post("/invocations")
async def create_response(body: ResponseRequest, user: CurrentUser, request: Request) -> Response:
    """Run one turn of the agent, as the OpenAI Responses API describes it."""
    turn = body.to_turn(user)
    turns = await running_turns(request)
    place = {"thread_id": turn.thread_id, "session_id": turn.thread_id}
    response = ResponseBuilder(setting("MODEL_ENDPOINT"), place)
    # A task of its own: a server may read the rest of a stream in another one than its start.
    run = asyncio.create_task(turns.run(turn, response))
    run.add_done_callback(lambda _: response.events.put_nowait(None))
    try:
        # Nothing is sent before the first event: until then a failure still has its status.
        first = await response.events.get()
        if turn.stream and first:
            return StreamingResponse(_sse(first, run, response), media_type="text/event-stream")
        await run
    except Exception as error:
        raise _reported(error) from error
    return JSONResponse(response.body)


async def _sse(
    event: Event | None, run: asyncio.Task[None], response: ResponseBuilder
) -> AsyncIterator[str]:
    try:
        while event:
            yield to_sse(event)
            event = await response.events.get()
        await run
    except Exception as error:  # the status is sent, so the failure travels as an event
        failure = _reported(error)
        yield to_sse(response.fail(failure.code, failure.detail))
    finally:
        run.cancel()  # the reader may have left
    yield "data: [DONE]\n\n"


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
