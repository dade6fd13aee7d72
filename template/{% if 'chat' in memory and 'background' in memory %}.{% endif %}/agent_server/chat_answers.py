"""The answers of a chat, each a background response: made whether or not somebody reads it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

from fastapi import Request

from agent_server import background_store as store
from agent_server.background_readers import follow, follow_text
from agent_server.background_startup import current_runs
from agent_server.chats import store_answer
from agent_server.identity import User
from agent_server.lakebase import Connection, Pool
from agent_server.requests import Turn
from agent_server.turns import Turns

PREFIX = "resp_"  # of the response's id, before that of the question it answers


async def start_answer(
    _turns: Turns, turn: Turn, question_id: UUID, _request: Request, as_events: bool
) -> AsyncIterator[str]:
    """Begin to answer a question, and return what to send: events, or text.

    Raises ApiError: 409 while another run of the chat is not over, 429 above the limits.
    """
    runs = current_runs()
    response_id = await runs.create(replace(turn, response_id=f"{PREFIX}{question_id.hex}"))
    read = follow if as_events else follow_text
    return read(runs, response_id, 0)


async def running_answer(pool: Pool, user: User, chat_id: UUID) -> str | None:
    """Return the id of the response that is being made in a chat, if there is one."""
    for row in await store.rows(pool, store.BUSY, [user.thread_key(str(chat_id))]):
        return str(row["id"])
    return None


async def keep_answer(connection: Connection, turn: Turn, body: dict[str, Any]) -> None:
    """Keep what a run said in the chat whose question it answers, if there is one."""
    question_id = UUID(turn.response_id.removeprefix(PREFIX))
    await store_answer(connection, turn.user, question_id, body)
