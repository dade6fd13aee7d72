"""The HTTP server: its routes, and how failures leave it."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from agent_server.errors import ApiError, bad_request, to_api_error
from agent_server.identity import CurrentUser
from agent_server.logs import configure_logs
from agent_server.request_scope import RequestScope
from agent_server.requests import ResponseRequest, reason
from agent_server.responses import Event, ResponseBuilder, to_sse
from agent_server.settings import setting
from agent_server.startup import CurrentStartup, open_startup
from agent_server.streams import detached

log = logging.getLogger(__name__)
configure_logs()
app = FastAPI(title="Agent", lifespan=open_startup)
app.add_middleware(RequestScope)


@app.get("/health")
async def health() -> dict[str, str]:
    """Say that the process is up."""
    return {"status": "ok"}


@app.get("/ready")
async def ready(startup: CurrentStartup) -> dict[str, str]:
    """Say whether a turn would work now; 503 with the reason when not."""
    try:
        await (await startup.runtime(patience=0)).check()
    except ApiError:
        raise
    except Exception as error:  # the edge of the process: whatever is wrong, it is not ready
        log.warning("not ready: %s", error)
        raise ApiError(503, "not_ready", to_api_error(error).message, retry_after=2) from error
    return {"status": "ready"}


@app.post("/responses")
@app.post("/invocations")
async def create_response(
    body: ResponseRequest, user: CurrentUser, startup: CurrentStartup
) -> Response:
    """Run one turn of the agent, as the OpenAI Responses API describes it."""
    turn = body.to_turn(user)
    runtime = await startup.runtime()
    place = {"thread_id": turn.thread_id, "session_id": turn.thread_id}
    response = ResponseBuilder(setting("MODEL_ENDPOINT"), place)
    events = detached(runtime.turns.run(turn, response))
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


async def _sse(
    first: Event, events: AsyncGenerator[Event], response: ResponseBuilder
) -> AsyncIterator[str]:
    yield to_sse(first)
    try:
        async with aclosing(events):  # a reader that leaves ends the turn
            async for event in events:
                yield to_sse(event)
    except Exception as error:  # the status is sent, so the failure travels as an event
        failure = _reported(error)
        for event in response.failed(failure.code, failure.message):
            yield to_sse(event)
    yield "data: [DONE]\n\n"


def _reported(error: Exception) -> ApiError:
    failure = to_api_error(error)
    if failure is not error:
        log.error("a turn failed: %s", failure.code, exc_info=error)
    return failure


@app.exception_handler(ApiError)
async def _on_api_error(_request: Request, error: ApiError) -> JSONResponse:
    return JSONResponse(error.body(), error.status, error.headers)


@app.exception_handler(RequestValidationError)
async def _on_malformed(request: Request, error: RequestValidationError) -> JSONResponse:
    return await _on_api_error(request, bad_request(reason(error.errors())))


@app.exception_handler(HTTPException)
async def _on_http_error(request: Request, error: HTTPException) -> JSONResponse:
    failure = ApiError(error.status_code, "http_error", str(error.detail))
    return await _on_api_error(request, failure)
