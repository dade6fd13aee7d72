"""Background responses over HTTP: begin, read, follow, cancel and delete them."""

import hashlib
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from psycopg.rows import DictRow

from agent_server import background_store as store
from agent_server.background_readers import follow
from agent_server.background_response import DurableResponse
from agent_server.background_runs import Runs
from agent_server.background_startup import current_runs
from agent_server.errors import ApiError
from agent_server.identity import CurrentUser
from agent_server.requests import ResponseRequest, Text, Turn, bad_request
from agent_server.responses import UNFINISHED
from agent_server.startup import running_turns

MAX_KEY, MAX_POSITION = 256, 2**31 - 2


async def _ready_runs(request: Request) -> Runs:
    await running_turns(request)
    return current_runs()


ReadyRuns = Annotated[Runs, Depends(_ready_runs)]
router = APIRouter()


async def start_response(body: ResponseRequest, turn: Turn, request: Request) -> Response:
    """Begin a background response, or find the one that the same Idempotency-Key began."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_KEY:
        raise bad_request(f"Idempotency-Key: must have 1 to {MAX_KEY} characters.")
    runs = await _ready_runs(request)
    fingerprint = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
    response_id = await runs.create(turn, key, fingerprint)
    if turn.stream:
        return _events(runs, response_id, 0)
    return JSONResponse(await _find(runs, response_id, turn.user.id))


@router.get("/responses/{response_id}")
async def read_response(
    response_id: Text,
    user: CurrentUser,
    runs: ReadyRuns,
    stream: bool = False,
    starting_after: Annotated[int, Query(ge=-1, le=MAX_POSITION)] = -1,
) -> Response:
    """Return the response as it is now, or follow its events to the end."""
    if not stream:
        return JSONResponse(await _find(runs, response_id, user.id))
    if not runs.owned(response_id, user.id):
        await _row(runs, response_id, user.id)
    return _events(runs, response_id, starting_after + 1)


@router.post("/responses/{response_id}/cancel")
async def cancel_response(response_id: Text, user: CurrentUser, runs: ReadyRuns) -> Response:
    """End the run of the response; one that is over stays as it is."""
    await runs.cancel(response_id, user.id)
    return JSONResponse(await _find(runs, response_id, user.id))


@router.delete("/responses/{response_id}")
async def delete_response(response_id: Text, user: CurrentUser, runs: ReadyRuns) -> Response:
    """End the run of the response, and forget it and its events; its thread stays."""
    await _row(runs, response_id, user.id)
    await runs.delete(response_id, user.id)
    return JSONResponse({"id": response_id, "object": "response", "deleted": True})


async def _find(runs: Runs, response_id: str, user_id: str) -> dict[str, Any]:
    """Return the response as it is now; raises a 404 when it is not this user's."""
    if attempt := runs.owned(response_id, user_id):
        return attempt.response.body
    row = await _row(runs, response_id, user_id)
    if row["status"] not in UNFINISHED:
        return dict(json.loads(row["body"]))
    runs.look()
    async with runs.pool.connection() as connection:
        told = await store.events(connection, response_id)
    return {**DurableResponse.replay(told).body, "status": row["status"]}


async def _row(runs: Runs, response_id: str, user_id: str) -> DictRow:
    for row in await store.rows(runs.pool, store.FIND, [response_id, user_id]):
        return row
    raise ApiError(404, "not_found", "There is no such response.")


def _events(runs: Runs, response_id: str, position: int) -> Response:
    return StreamingResponse(follow(runs, response_id, position), media_type="text/event-stream")
