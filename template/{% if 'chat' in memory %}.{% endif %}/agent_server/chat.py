"""The chat page, and the HTTP API of its history."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

from agent_server.belongings import delete_thread
from agent_server.chat_requests import ChatPage, ChatRequest, Page, Title
from agent_server.chats import Chats, Row
from agent_server.identity import CurrentUser
from agent_server.responses import ResponseBuilder
from agent_server.runs import Run
from agent_server.startup import running_turns

STATIC = Path(__file__).parent / "static"
EVENTS = "text/event-stream"
router = APIRouter()
static = StaticFiles(directory=STATIC)


async def _user_chats(request: Request, user: CurrentUser) -> Chats:
    return Chats((await running_turns(request)).pool, user)


UserChats = Annotated[Chats, Depends(_user_chats)]


@router.get("/", include_in_schema=False)
async def show_page() -> Response:
    """Return the chat page."""
    return FileResponse(STATIC / "index.html")


@router.post("/api/chat")
async def chat(body: ChatRequest, chats: UserChats, request: Request) -> Response:
    """Answer in a chat: as text, or as events of the Responses API when `Accept` names them."""
    turn, response = body.to_turn(chats.user), ResponseBuilder(str(body.chat_id))
    turns = await running_turns(request)
    # The chat is ours from here on, or this raises: only then there is a thread.
    replace = body.trigger == "regenerate-message"
    question_id = await chats.ask(body.chat_id, body.text, replace)
    run = Run(_stored(turns.run(turn, response), chats, question_id, response), response)
    await run.started()
    kind = EVENTS if EVENTS in request.headers.get("accept", "") else "text/plain"
    stream = run.to_sse() if kind == EVENTS else run.to_text()
    return StreamingResponse(stream, media_type=kind, headers={"X-Chat-Id": str(body.chat_id)})


@router.get("/api/chats")
async def list_chats(page: Annotated[ChatPage, Query()], chats: UserChats, out: Response) -> Any:
    """List the user's chats, the latest first."""
    rows = await chats.page(page)
    if len(rows) == page.limit:
        _link(out, "/api/chats", "next", page, rows[-1], "updated_at")
    return rows


@router.get("/api/chats/{chat_id}/messages")
async def list_messages(
    chat_id: UUID, page: Annotated[Page, Query()], chats: UserChats, out: Response
) -> Any:
    """List the last messages of a chat, the oldest first."""
    rows = await chats.messages(chat_id, page)
    if len(rows) == page.limit:
        _link(out, f"/api/chats/{chat_id}/messages", "prev", page, rows[0], "created_at")
    return rows


@router.patch("/api/chats/{chat_id}")
async def rename_chat(chat_id: UUID, body: Title, chats: UserChats) -> Any:
    """Give a chat another title."""
    return await chats.rename(chat_id, body.title)


@router.delete("/api/chats/{chat_id}", status_code=204)
async def delete_chat(chat_id: UUID, chats: UserChats) -> None:
    """Delete a chat: its thread, and its messages."""
    await chats.messages(chat_id, Page(limit=1))  # a 404 for anyone else
    await delete_thread(chats.pool, chats.user, str(chat_id))
    await chats.delete(chat_id)


def _link(out: Response, path: str, rel: str, page: Page, last: Row, order: str) -> None:
    mark = {"before": last[order].isoformat(), "before_id": last["id"]}
    query = urlencode({**page.model_dump(exclude_defaults=True), **mark})
    out.headers["Link"] = f'<{path}?{query}>; rel="{rel}"'


async def _stored(
    work: Coroutine[None, None, None], chats: Chats, question_id: UUID, response: ResponseBuilder
) -> None:
    try:
        await work
    finally:
        # Also what was said before the reader left or the model failed.
        await asyncio.shield(chats.answer(question_id, response.body))
