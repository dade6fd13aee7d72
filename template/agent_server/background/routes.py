"""Background responses over HTTP: start, read, follow, cancel and delete them."""

import asyncio
import hashlib
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from psycopg.rows import DictRow

from agent_server.background import store
from agent_server.background.response import DurableResponse
from agent_server.background.runs import BackgroundRuns
from agent_server.background.stream import stream_events
from agent_server.errors import ApiError, bad_request
from agent_server.identity import CurrentUser
from agent_server.responses.builder import UNFINISHED
from agent_server.responses.events import STREAMS
from agent_server.responses.items import Text
from agent_server.responses.requests import ResponseRequest, Turn
from agent_server.server.startup import opened_runtime

MAX_KEY = 256  # characters
MAX_POSITION = 2**31 - 2


async def _background_runs(request: Request) -> BackgroundRuns:
    return (await opened_runtime(request)).background


Runs = Annotated[BackgroundRuns, Depends(_background_runs)]
router = APIRouter()


async def start_response(body: ResponseRequest, turn: Turn, request: Request) -> Response:
    """Start a background response, or return the one that this Idempotency-Key started."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_KEY:
        raise bad_request(f"Idempotency-Key: must have 1 to {MAX_KEY} characters.")
    runs = await _background_runs(request)
    fingerprint = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
    response_id = await runs.create(turn, key, fingerprint)
    if turn.stream:
        return _events(runs, response_id, 0)
    return JSONResponse(await _find(runs, response_id, turn.user.id))


@router.get("/responses/{response_id}", responses=STREAMS)
async def read_response(
    response_id: Text,
    user: CurrentUser,
    runs: Runs,
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
async def cancel_response(response_id: Text, user: CurrentUser, runs: Runs) -> Response:
    """Cancel the response; a finished one stays as it is."""
    await runs.cancel(response_id, user.id)
    return JSONResponse(await _find(runs, response_id, user.id))


@router.delete("/responses/{response_id}")
async def delete_response(response_id: Text, user: CurrentUser, runs: Runs) -> Response:
    """Cancel the response, and delete it with its events; its thread stays."""
    await _row(runs, response_id, user.id)
    await runs.delete(response_id, user.id)
    return JSONResponse({"id": response_id, "object": "response", "deleted": True})


async def _find(runs: BackgroundRuns, response_id: str, user_id: str) -> dict[str, Any]:
    """Return the response as it is now; raises a 404 when it is not this user's."""
    if attempt := runs.owned(response_id, user_id):
        return attempt.response.body
    row = await _row(runs, response_id, user_id)
    if row["status"] not in UNFINISHED:
        return dict(json.loads(row["body"]))
    runs.request_recovery()
    async with runs.pool.connection() as connection:
        saved = await store.events(connection, response_id)
    response = await asyncio.to_thread(DurableResponse.replay, saved)
    return {**response.body, "status": row["status"]}


async def _row(runs: BackgroundRuns, response_id: str, user_id: str) -> DictRow:
    rows = await store.rows(runs.pool, store.FIND, id=response_id, user_id=user_id)
    if not rows:
        raise ApiError(404, "not_found", "There is no such response.")
    return rows[0]


def _events(runs: BackgroundRuns, response_id: str, position: int) -> Response:
    stream = stream_events(runs, response_id, position)
    return StreamingResponse(stream, media_type="text/event-stream")
