"""Titles of chats that the model makes after the first answer, if CHAT_TITLES is "true".

Until then, and if it fails, the title is the beginning of the question.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

import openai
import psycopg

from agent_server.answers.parts import read_parts, unpacked
from agent_server.chat.questions import to_columns, to_title
from agent_server.database.pool import Pool
from agent_server.database.text import shortened, to_storable
from agent_server.errors import ApiError
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.requests import Turn
from agent_server.responses.task import RunTurn
from agent_server.settings import limit, setting

log = logging.getLogger(__name__)

SEEN_BYTES = 2000  # of the question, and of the answer
PROMPT = (
    "Give a conversation a title: three to six words in the language of the question, no quotation "
    "marks, no full stop. Answer with the title alone."
)
# A chat with one question, which nobody has renamed.
IS_NEW = """
    id = %(chat)s AND user_id = %(user)s AND title = %(plain)s
    AND 1 = (SELECT count(*) FROM messages WHERE chat_id = %(chat)s AND role = 'user')"""
FIND = f"SELECT id FROM chats WHERE {IS_NEW}"
RENAME = f"UPDATE chats SET title = %(title)s WHERE {IS_NEW}"


class Titles:
    """What has titles made by the model of the client that `build_client` returns."""

    def __init__(self, pool: Pool, build_client: Callable[[], openai.AsyncOpenAI]) -> None:
        self._pool, self._build_client = pool, build_client
        self._client: openai.AsyncOpenAI | None = None

    def around(self, run_turn: RunTurn) -> RunTurn:
        """Return what runs turns as `run_turn` does, and then has a title made, apart from it.

        Does nothing unless CHAT_TITLES is "true".
        """
        if setting("CHAT_TITLES") != "true":
            return run_turn

        async def run(turn: Turn, response: ResponseBuilder) -> None:
            await run_turn(turn, response)
            said = [item for item in response.body["output"] if item["type"] == "message"]
            if said and not turn.approvals:
                self._pool.apart(self._rename(turn, str(said[-1]["content"][0]["text"])))

        return run

    async def _rename(self, turn: Turn, answer: str) -> None:
        try:
            asked = to_columns(turn)
            place = {"chat": UUID(turn.thread_id), "user": turn.user.id, "plain": asked["title"]}
        except (ValueError, StopIteration):  # the thread is no chat's, or nothing was asked
            return
        try:
            if await self._changes(FIND, place):
                title = await self._ask(str(asked["text"]), answer)
                if title:
                    await self._changes(RENAME, {**place, "title": title})
        except (openai.OpenAIError, psycopg.Error, ApiError, TimeoutError) as error:
            log.warning("a chat keeps its plain title: %r", error)

    async def _changes(self, statement: str, values: dict[str, Any]) -> bool:
        async with self._pool.connection() as connection:
            return (await connection.execute(statement, values)).rowcount > 0

    async def _ask(self, question: str, answer: str) -> str:
        said = f"Question: {shortened(question, SEEN_BYTES)}\n\n"
        messages: list[Any] = [
            {"role": "system", "content": PROMPT},
            {"role": "user", "content": f"{said}Answer: {shortened(answer, SEEN_BYTES)}"},
        ]
        async with asyncio.timeout(limit("TITLE_SECONDS")):
            if self._client is None:
                self._client = await asyncio.to_thread(self._build_client)
            made = await self._client.chat.completions.create(
                model=setting("MODEL_ENDPOINT"), messages=messages, max_tokens=limit("TITLE_TOKENS")
            )
        content: Any = made.choices[0].message.content or ""
        parts = unpacked(content) if isinstance(content, str) else content
        return to_title(to_storable(read_parts(parts).text).strip().strip("\"'“”„«»"))
