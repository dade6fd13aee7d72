"""The HTTP server: its routes, and how failures leave it."""

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
from agent_server.responses import ResponseBuilder
from agent_server.runs import Run
from agent_server.settings import setting
from agent_server.startup import open_startup, running_turns

MAX_BODY_BYTES = 4 * 2**20

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
    run = Run(turns.run(turn, response), response)
    if turn.stream:
        await run.started()
        return StreamingResponse(run.to_sse(), media_type="text/event-stream")
    await run.ended()
    return JSONResponse(response.body)


@app.exception_handler(HTTPException)
async def _on_failure(_request: Request, error: HTTPException) -> JSONResponse:
    return JSONResponse(to_body(error), error.status_code, error.headers)


@app.exception_handler(RequestValidationError)
async def _on_malformed(request: Request, error: RequestValidationError) -> JSONResponse:
    return await _on_failure(request, to_bad_request(error.errors()))
