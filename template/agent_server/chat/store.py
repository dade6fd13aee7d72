"""The chats of each user and their messages: all of their SQL."""

import json
import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agent_server.chat.requests import ChatPage, Page
from agent_server.database.migrations import migrate
from agent_server.database.pool import Connection, Pool
from agent_server.errors import ApiError
from agent_server.feedback.store import RESPONSE, create_feedback_table
from agent_server.identity import User
from agent_server.settings import limit

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

# Questions that another wording replaced, and answers that another answer did: `question_id` is the
# question of the chat in their place. What an answer cites is JSON, as files are.
EARLIER = """
    ALTER TABLE messages ADD COLUMN IF NOT EXISTS sources text,
        ADD COLUMN IF NOT EXISTS trace_id text;
    CREATE TABLE IF NOT EXISTS earlier_messages (
        id uuid PRIMARY KEY, chat_id uuid NOT NULL REFERENCES chats ON DELETE CASCADE,
        question_id uuid NOT NULL, role text NOT NULL, content text NOT NULL, files text,
        partial boolean NOT NULL, sources text, created_at timestamptz NOT NULL);
    CREATE INDEX IF NOT EXISTS idx_earlier_messages_question
        ON earlier_messages (chat_id, question_id, created_at)"""

# Words of no language in particular; a text's beginning, because an index entry has a limit. A
# function, so that Postgres knows what it costs, and asks the index instead of reading each text.
WORDS = """
    CREATE OR REPLACE FUNCTION message_words(content text) RETURNS tsvector
        LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 100000
        AS $$ BEGIN RETURN to_tsvector('pg_catalog.simple', left(content, 100000)); END $$;
    CREATE INDEX IF NOT EXISTS idx_messages_words ON messages USING gin (message_words(content))
    WHERE role IN ('user', 'assistant')"""
MAX_WORDS = 8  # of a search; the others do not count

# An answer that is not written in the background says until when it is; a background run takes at
# most an hour.
RUNNING = """
    answering IS NOT NULL AND coalesce(answering_until, updated_at + interval '1 hour') > now()"""
LIST = f"""
    SELECT id, title, created_at, updated_at, {RUNNING} AS running FROM chats
    WHERE user_id = %(user)s
        AND (%(before)s::timestamptz IS NULL OR (updated_at, id) < (%(before)s, %(before_id)s))
    ORDER BY updated_at DESC, id DESC LIMIT %(limit)s"""
# The excerpt is of the first message that has the words, if the title does not have the text. It is
# taken from around the first word: to look through a long text for the best place takes a second.
SEARCH = f"""
    WITH found AS MATERIALIZED (
        SELECT DISTINCT ON (chat_id) chat_id, id AS message_id FROM messages
        WHERE chat_id = ANY (ARRAY(SELECT id FROM chats WHERE user_id = %(user)s))
            AND role IN ('user', 'assistant')
            AND message_words(content) @@ to_tsquery('simple', %(words)s)
        ORDER BY chat_id, created_at),
    page AS (
        SELECT * FROM chats LEFT JOIN found ON chat_id = id WHERE user_id = %(user)s
            AND (strpos(lower(title), lower(%(search)s)) > 0 OR chat_id IS NOT NULL)
            AND (%(before)s::timestamptz IS NULL OR (updated_at, id) < (%(before)s, %(before_id)s))
        ORDER BY updated_at DESC, id DESC LIMIT %(limit)s)
    SELECT id, title, created_at, updated_at, {RUNNING} AS running,
        CASE WHEN strpos(lower(title), lower(%(search)s)) = 0 THEN (
            SELECT ts_headline('simple', substr(begin, strpos(lower(begin), %(word)s) - 100, 1000),
                to_tsquery('simple', %(words)s),
                'StartSel="", StopSel="", MinWords=6, MaxWords=14')
            FROM (SELECT left(content, 20000) AS begin FROM messages WHERE id = message_id) text
        ) END AS excerpt
    FROM page ORDER BY updated_at DESC, id DESC"""
# The latest before a place. A page has at least one message, and no more once it has page_bytes. An
# empty one is one row without a message; another user's chat has no row.
PAGE = """
    SELECT *, sum(size) OVER (ORDER BY created_at DESC, id DESC) - size AS later FROM (
        SELECT *, octet_length(content) + coalesce(octet_length(files), 0) AS size FROM {}
        WHERE chat_id = c.id AND {}
            AND (%(before)s::timestamptz IS NULL OR (created_at, id) < (%(before)s, %(before_id)s))
        ORDER BY created_at DESC, id DESC LIMIT %(limit)s) page"""
# A question says whether its answer was liked, and all of them which question is being answered.
MESSAGES = f"""
    SELECT CASE WHEN {RUNNING} THEN answering END AS answering,
        m.id, role, content, files, partial, sources, size, m.created_at, (
        SELECT count(*) FROM earlier_messages e
        WHERE e.chat_id = c.id AND e.question_id = m.id AND e.role = 'user') AS earlier, (
        SELECT value FROM feedback f WHERE role = 'user' AND f.user_id = c.user_id
            AND f.response_id = {RESPONSE.format("m.id")}) AS liked
    FROM chats c LEFT JOIN LATERAL ({PAGE.format("messages", "true")}) m ON later < %(page_bytes)s
    WHERE c.id = %(id)s AND c.user_id = %(user)s ORDER BY m.created_at, m.id"""
EARLIER_OF = f"""
    SELECT m.id, role, content, files, partial, sources, size, m.created_at FROM chats c
    LEFT JOIN LATERAL ({PAGE.format("earlier_messages", "question_id = %(question)s")}) m
    ON later < %(page_bytes)s
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
        """Return one page of chats, latest first; those that a search finds have an `excerpt`."""
        if not page.search:
            return await self._all(LIST, **page.model_dump())
        words = [*dict.fromkeys(re.findall(r"[^\W_]+", page.search.lower()))][:MAX_WORDS]
        query = " & ".join(f"{word}:*" for word in words)
        first = words[0] if words else ""
        return await self._all(SEARCH, words=query, word=first, **page.model_dump())

    async def messages(self, chat_id: UUID, page: Page) -> tuple[list[Row], UUID | None]:
        """Return the latest messages before the page's position, oldest first, and their sizes.

        They are fewer than the page's limit when they reach the limit PAGE_BYTES. Also return the
        id of the question that is being answered, if any.
        """
        place = {"id": chat_id, "page_bytes": limit("PAGE_BYTES"), **page.model_dump()}
        rows = await self._some(MESSAGES, **place)
        answering = rows[0]["answering"]
        return [_told(row) for row in rows if row["id"]], answering

    async def earlier(self, chat_id: UUID, question_id: UUID, page: Page) -> list[Row]:
        """Return the latest questions and answers that a question and its answer replaced.

        They are oldest first, each question before its answer, and bounded as `messages` are.
        """
        place = {"id": chat_id, "page_bytes": limit("PAGE_BYTES"), **page.model_dump()}
        rows = await self._some(EARLIER_OF, question=question_id, **place)
        return [_told(row) for row in rows if row["id"]]

    async def rename(self, chat_id: UUID, title: str) -> Row:
        """Rename a chat, and return it."""
        return (await self._some(RENAME, id=chat_id, title=title))[0]

    async def delete(self, chat_id: UUID) -> bool:
        """Delete a chat with its messages; return whether there was one."""
        return bool(await self._all(DELETE, id=chat_id))

    async def _some(self, query: str, **values: Any) -> list[Row]:
        if not (rows := await self._all(query, **values)):
            raise ApiError(404, "no_such_chat", "There is no such chat.")
        return rows

    async def _all(self, query: str, **values: Any) -> list[Row]:
        async with self.pool.connection() as connection:
            return await _execute(connection, query, user=self.user.id, **values)


async def create_chat_tables(connection: Connection) -> None:
    """Create the tables of chats, their messages and feedback, or bring them up to date."""
    await migrate(connection, "chats", [TABLES, ANSWERING, FILES, EARLIER, WORDS])
    await create_feedback_table(connection)


def _told(row: Row) -> Row:
    """Return a message with what it has as JSON, and nothing of its chat."""
    texts = {name: json.loads(row[name] or "[]") for name in ("files", "sources")}
    return {name: value for name, value in {**row, **texts}.items() if name != "answering"}


async def _execute(connection: Connection, query: str, **values: Any) -> list[Row]:
    return await (await connection.execute(query, values)).fetchall()
