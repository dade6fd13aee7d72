"""Titles of chats that the model makes after the first answer, if CHAT_TITLES is "true".

Until then, and if it fails, the title is the beginning of the question.
"""

import asyncio
import logging
from typing import Any
from uuid import UUID

import openai
import psycopg

from agent_server.after_turns.asking import AfterTurn
from agent_server.chat.questions import to_columns, to_title
from agent_server.database.pool import Pool
from agent_server.database.text import shortened
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
    """What has titles made by `model`."""

    def __init__(self, pool: Pool, model: AfterTurn) -> None:
        self._pool, self._model = pool, model

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
                self._model.begin(self._rename(turn, str(said[-1]["content"][0]["text"])))

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
        asked, answered = (shortened(text, SEEN_BYTES) for text in (question, answer))
        said = f"Question: {asked}\n\nAnswer: {answered}"
        async with asyncio.timeout(limit("TITLE_SECONDS")):
            title = await self._model.ask(PROMPT, said, max_tokens=limit("TITLE_TOKENS"))
        return to_title(title.strip().strip("\"'“”„«»"))
