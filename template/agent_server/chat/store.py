"""The chats of each user and their messages: all of their SQL."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from agent_server.chat.questions import to_columns, withdraw
from agent_server.chat.requests import ChatPage, Page
from agent_server.database.migrations import migrate
from agent_server.database.pool import Connection, Pool
from agent_server.database.text import to_storable
from agent_server.errors import FILES_REFUSED, ApiError
from agent_server.identity import User
from agent_server.responses.requests import Turn
from agent_server.responses.written import Item
from agent_server.settings import limit

RESPONSE_PREFIX = "resp_"  # of a background response's id; the question's id follows

TABLES = """
    CREATE TABLE IF NOT EXISTS chats (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id text NOT NULL, title text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now());
    CREATE INDEX IF NOT EXISTS idx_chats_user_updated ON chats (user_id, updated_at, id);
    CREATE TABLE IF NOT EXISTS messages (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        chat_id uuid NOT NULL REFERENCES chats ON DELETE CASCADE,
        role text NOT NULL CHECK (role IN ('system', 'user', 'assistant', 'tool')),
        content text NOT NULL, partial boolean NOT NULL DEFAULT false,
        created_at timestamptz NOT NULL DEFAULT now());
    CREATE INDEX IF NOT EXISTS idx_messages_chat_created ON messages (chat_id, created_at)"""

ANSWERING = """
    ALTER TABLE chats ADD COLUMN IF NOT EXISTS answering uuid,
        ADD COLUMN IF NOT EXISTS answering_until timestamptz"""

# Of a question, as JSON: a text's size is known without reading it.
FILES = "ALTER TABLE messages ADD COLUMN IF NOT EXISTS files text"

# Locks the chat, so that what the next statements read can't change. No row if the question is no
# longer the chat's: then nothing is written.
FINISH = """
    UPDATE chats SET updated_at = now(), answering = NULL, answering_until = NULL
    WHERE id = %(chat)s AND user_id = %(user)s AND coalesce(answering = %(question)s, true)
        AND (%(again)s OR EXISTS (SELECT FROM messages WHERE id = %(question)s))
    RETURNING id"""
# Replaces the last question and its answer, unless that is complete and the new one is not.
REPLACE = """
    WITH kept AS (
        SELECT FROM messages WHERE id = %(question)s
        UNION ALL SELECT FROM (
            SELECT role, partial FROM messages WHERE chat_id = %(chat)s
            ORDER BY created_at DESC, id DESC LIMIT 1) last
        WHERE role <> 'user' AND NOT partial AND NOT %(completed)s),
    gone AS (
        DELETE FROM messages WHERE NOT EXISTS (SELECT FROM kept)
            AND chat_id = %(chat)s AND created_at >= (
                SELECT max(created_at) FROM messages WHERE chat_id = %(chat)s AND role = 'user'))
    INSERT INTO messages (id, chat_id, role, content, files, created_at)
    SELECT %(question)s, %(chat)s, 'user', %(text)s, %(files)s, clock_timestamp()
    WHERE NOT EXISTS (SELECT FROM kept)"""
# Times one microsecond apart keep the messages in order.
ANSWER = """
    INSERT INTO messages (chat_id, role, content, partial, created_at)
    SELECT chat_id, said->>'role', said->>'content', coalesce((said->>'partial')::boolean, false),
        clock_timestamp() + place * interval '1 microsecond'
    FROM messages question, jsonb_array_elements(%(said)s) WITH ORDINALITY AS answer (said, place)
    WHERE question.id = %(question)s AND chat_id = %(chat)s"""
LIST = """
    SELECT id, title, created_at, updated_at FROM chats
    WHERE user_id = %(user)s AND strpos(lower(title), lower(%(search)s)) > 0
        AND (%(before)s::timestamptz IS NULL OR (updated_at, id) < (%(before)s, %(before_id)s))
    ORDER BY updated_at DESC, id DESC LIMIT %(limit)s"""
# An empty page is one row without a message; another user's chat has no row. A page has at least
# one message, and no more once it has page_bytes.
MESSAGES = """
    SELECT m.id, role, content, files, partial, size, m.created_at FROM chats c LEFT JOIN LATERAL (
        SELECT *, sum(size) OVER (ORDER BY created_at DESC, id DESC) - size AS later FROM (
            SELECT *, octet_length(content) + coalesce(octet_length(files), 0) AS size
            FROM messages
            WHERE chat_id = c.id AND
                (%(before)s::timestamptz IS NULL OR (created_at, id) < (%(before)s, %(before_id)s))
            ORDER BY created_at DESC, id DESC LIMIT %(limit)s) page) m ON later < %(page_bytes)s
    WHERE c.id = %(id)s AND c.user_id = %(user)s ORDER BY m.created_at, m.id"""
RENAME = """
    UPDATE chats SET title = %(title)s WHERE id = %(id)s AND user_id = %(user)s
    RETURNING id, title, created_at, updated_at"""
DELETE = "DELETE FROM chats WHERE id = %(id)s AND user_id = %(user)s RETURNING id"

Row = dict[str, Any]


@dataclass(frozen=True)
class Chats:
    """The chats of one user; any other chat raises a 404 ApiError, whether or not it exists."""

    pool: Pool
    user: User

    async def page(self, page: ChatPage) -> list[Row]:
        """Return one page of chats, latest first."""
        return await self._all(LIST, **page.model_dump())

    async def messages(self, chat_id: UUID, page: Page) -> list[Row]:
        """Return the latest messages before the page's position, oldest first, and their sizes.

        They are fewer than the page's limit when they reach the limit PAGE_BYTES.
        """
        place = {"id": chat_id, "page_bytes": limit("PAGE_BYTES"), **page.model_dump()}
        rows = await self._some(MESSAGES, **place)
        return [{**row, "files": json.loads(row["files"] or "[]")} for row in rows if row["id"]]

    async def rename(self, chat_id: UUID, title: str) -> Row:
        """Rename a chat, and return it."""
        return (await self._some(RENAME, id=chat_id, title=title))[0]

    async def delete(self, chat_id: UUID) -> None:
        """Delete a chat with its messages."""
        await self._some(DELETE, id=chat_id)

    async def _some(self, query: str, **values: Any) -> list[Row]:
        if not (rows := await self._all(query, **values)):
            raise ApiError(404, "no_such_chat", "There is no such chat.")
        return rows

    async def _all(self, query: str, **values: Any) -> list[Row]:
        async with self.pool.connection() as connection:
            return await _execute(connection, query, user=self.user.id, **values)


async def create_chat_tables(connection: Connection) -> None:
    """Create the tables of chats and their messages, or bring them up to date."""
    await migrate(connection, "chats", [TABLES, ANSWERING, FILES])


async def keep_answer(connection: Connection, turn: Turn, response: Item) -> None:
    """Store the answer of a background run in the chat whose question it answers, if any."""
    with suppress(ValueError):  # the id of a thread that is no chat's
        UUID(turn.thread_id)
        question_id = UUID(turn.response_id.removeprefix(RESPONSE_PREFIX))
        await store_answer(connection, turn, question_id, response)


async def store_answer(
    connection: Connection, turn: Turn, question_id: UUID, response: Item
) -> None:
    """Store the messages of a response; the last is `partial` unless it was completed.

    A question that was asked again replaces the last one with its answer, unless it has none.
    """
    said: list[Row] = [
        {"role": role, "content": text} for role, text in _to_messages(response["output"])
    ]
    completed = response["status"] == "completed"
    if said:
        said[-1]["partial"] = not completed
    place = {"chat": UUID(turn.thread_id), "user": turn.user.id, "question": question_id}
    what = {"said": Jsonb(said), "completed": completed, "again": turn.again}
    values = {**place, **what, **to_columns(turn)}
    async with connection.transaction():
        if not await _execute(connection, FINISH, **values):
            return
        if said and turn.again:
            await connection.execute(REPLACE, values)
        if said:
            await connection.execute(ANSWER, values)
        elif (response["error"] or {}).get("code") == FILES_REFUSED:
            await withdraw(connection, turn, question_id)


async def _execute(connection: Connection, query: str, **values: Any) -> list[Row]:
    return await (await connection.execute(query, values)).fetchall()


def _to_messages(output: list[Item]) -> Iterator[tuple[str, str]]:
    results = {i["call_id"]: i["output"] for i in output if i["type"] == "function_call_output"}
    for item in output:
        if item["type"] == "message":
            yield "assistant", to_storable(item["content"][0]["text"])
        elif item["type"] == "function_call":
            call = {"name": item["name"], "arguments": item["arguments"]}
            yield "tool", json.dumps({**call, "output": results.get(item["call_id"])})
