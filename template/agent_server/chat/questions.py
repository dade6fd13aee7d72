"""Stores the questions of chats: in each chat one at a time, until it is answered."""

import json
import re
from typing import Any
from uuid import UUID

from agent_server.chat.requests import TITLE_LENGTH
from agent_server.database.pool import Connection, Pool
from agent_server.errors import ApiError
from agent_server.identity import User
from agent_server.responses.items import File, Message
from agent_server.responses.requests import Turn
from agent_server.settings import has, limit
from agent_server.transport.data_urls import media_type

MARKS = re.compile(r"^\s{0,3}(?:#{1,6}\s|>\s?|[-*+]\s)|[*`]+|~~~+", re.M)  # of Markdown
RETRY_SECONDS = 60  # for a limit that only deleting something helps against

# Locked before a question is asked again, so that what the next statement reads can't change.
LOCK = "SELECT FROM chats WHERE id = %(chat)s AND user_id = %(user)s FOR UPDATE"
# Whoever writes to a chat first owns it; nothing is written for anyone else, nor while another
# question is being answered. The last question, if it is asked again, is stored only with its new
# answer; so is one that replaces a question without a whole answer.
ASK = """
    WITH chat AS (
        INSERT INTO chats AS held (id, user_id, title, answering, answering_until)
        SELECT %(chat)s, %(user)s, %(title)s, %(question)s,
            now() + make_interval(secs => %(seconds)s)
        WHERE EXISTS (SELECT FROM chats WHERE id = %(chat)s)
            OR %(max_chats)s > (SELECT count(*) FROM chats WHERE user_id = %(user)s)
        ON CONFLICT (id) DO UPDATE SET updated_at = now(), answering = excluded.answering,
            answering_until = excluded.answering_until
        WHERE held.user_id = excluded.user_id AND coalesce(held.answering_until < now(), true)
            AND %(max_messages)s > (SELECT count(*) FROM messages WHERE chat_id = %(chat)s) + (
                SELECT count(*) FROM earlier_messages WHERE chat_id = %(chat)s)
            AND (%(replaces)s::uuid IS NULL OR %(replaces)s = (
                SELECT id FROM messages WHERE chat_id = %(chat)s AND role = 'user'
                ORDER BY created_at DESC, id DESC LIMIT 1))
        RETURNING id),
    asked AS (
        INSERT INTO messages (id, chat_id, role, content, files, created_at)
        SELECT %(question)s, id, %(role)s, %(text)s, %(files)s, clock_timestamp() FROM chat
        WHERE NOT (%(again)s AND EXISTS (
            SELECT FROM
                (SELECT content, files FROM messages WHERE chat_id = %(chat)s AND role = 'user'
                    ORDER BY created_at DESC, id DESC LIMIT 1) question,
                (SELECT role = 'user' OR partial AS wanting FROM messages
                    WHERE chat_id = %(chat)s ORDER BY created_at DESC, id DESC LIMIT 1) last
            WHERE (content = %(text)s AND files IS NOT DISTINCT FROM %(files)s) OR wanting
                OR %(edited)s)))
    SELECT id FROM chat"""
WHY = """
    SELECT user_id = %(user)s AS own,
        %(max_messages)s <= (SELECT count(*) FROM messages WHERE chat_id = %(chat)s) + (
            SELECT count(*) FROM earlier_messages WHERE chat_id = %(chat)s) AS full,
        coalesce(answering_until < now(), true) AS free,
        (SELECT id FROM messages WHERE chat_id = %(chat)s AND role = 'user'
            ORDER BY created_at DESC, id DESC LIMIT 1) AS asked
    FROM chats WHERE id = %(chat)s"""
RENEW = """
    UPDATE chats SET answering_until = now() + make_interval(secs => %(seconds)s)
    WHERE id = %(chat)s AND answering = %(question)s"""
ANSWERED = """
    SELECT answering FROM chats
    WHERE id = %(chat)s AND user_id = %(user)s AND answering_until > now()"""
RELEASE = """
    UPDATE chats SET answering = NULL, answering_until = NULL
    WHERE id = %(chat)s AND user_id = %(user)s"""
WITHDRAW = """
    WITH gone AS (DELETE FROM messages WHERE id = %(question)s RETURNING chat_id)
    DELETE FROM chats USING gone WHERE chats.id = gone.chat_id AND user_id = %(user)s AND NOT EXISTS
        (SELECT FROM messages m WHERE m.chat_id = chats.id AND m.id <> %(question)s)"""


class ChatBusyError(ApiError):
    """A question can't be asked while the last one, `asked`, is being answered."""

    def __init__(self, asked: UUID) -> None:
        text = "The last question of this chat is being answered. Wait for it, or stop it."
        super().__init__(409, "thread_busy", text, 1)
        self.asked = asked


async def ask(
    connection: Connection, turn: Turn, question_id: UUID, replaces: UUID | None = None
) -> None:
    """Store a question in its chat, which is created if necessary.

    With `replaces`, only if that is still the last question. Call it in a transaction if the turn
    is to replace one. Raises ApiError: 404 for another user's chat, 409 while the last question is
    being answered, 429 when there are too many chats, or too many messages in this one.
    """
    values = {**_values(turn, question_id), "replaces": replaces}
    if turn.again:
        await connection.execute(LOCK, values)
    cursor = await connection.execute(ASK, values)
    if await cursor.fetchone() is None:
        raise await _refusal(connection, values)


async def renew(pool: Pool, turn: Turn, question_id: UUID) -> bool:
    """Say that the question is still being answered; otherwise another may soon be asked.

    Return whether it still is the question that the chat waits for.
    """
    async with pool.connection() as connection:
        return (await connection.execute(RENEW, _values(turn, question_id))).rowcount > 0


async def answered_question(pool: Pool, user: User, chat_id: UUID) -> UUID | None:
    """Return the id of the question that is being answered in a chat, if any."""
    async with pool.connection() as connection:
        cursor = await connection.execute(ANSWERED, {"chat": chat_id, "user": user.id})
        row = await cursor.fetchone()
    return row["answering"] if row else None


async def release(pool: Pool, user: User, chat_id: UUID) -> None:
    """Say that the chat waits for no answer."""
    async with pool.connection() as connection:
        await connection.execute(RELEASE, {"chat": chat_id, "user": user.id})


async def withdraw(connection: Connection, turn: Turn, question_id: UUID) -> None:
    """Delete a question that will not be answered, and its chat if nothing else is in it."""
    await connection.execute(WITHDRAW, _values(turn, question_id))


def to_columns(turn: Turn) -> dict[str, str | None]:
    """Return what a chat keeps of the question that its turn asks, or of what it decides."""
    if turn.approvals:
        said = turn.approvals[0]
        text = json.dumps({"approval": said.approval_request_id, "approve": said.approve})
        return {"role": "tool", "text": text, "files": None, "title": ""}
    question = _question(turn)
    files = [_to_ui(file) for file in question.files]
    kept = {"text": question.text, "files": json.dumps(files) if files else None}
    return {"role": "user", **kept, "title": _title(question)}


def _question(turn: Turn) -> Message:
    return next(item for item in turn.items if isinstance(item, Message))


def _to_ui(file: File) -> dict[str, str]:
    """Return the file as a part of an AI SDK message."""
    kind = media_type(file.url) or "image/*"
    return {"type": "file", "mediaType": kind, "filename": file.filename, "url": file.url}


def _values(turn: Turn, question_id: UUID) -> dict[str, Any]:
    return {
        "chat": UUID(turn.thread_id), "user": turn.user.id, "question": question_id,
        **to_columns(turn), "again": turn.again,
        "edited": turn.replaces is not None,
        "max_chats": limit("CHATS_PER_USER"), "max_messages": limit("MESSAGES_PER_CHAT"),
        # A background run is the only one of its thread anyway, however long it takes.
        "seconds": None if has("background") else limit("LEASE_SECONDS"),
    }  # fmt: skip


def to_title(text: str) -> str:
    """Return the beginning of a text without its Markdown, on one line."""
    return " ".join(MARKS.sub("", text).split())[:TITLE_LENGTH]


def _title(question: Message) -> str:
    names = ", ".join(file.filename or "Image" for file in question.files)
    text = question.text.strip() or names
    return to_title(text) or text[:TITLE_LENGTH]


async def _refusal(connection: Connection, values: dict[str, Any]) -> ApiError:
    cursor = await connection.execute(WHY, values)
    chat = await cursor.fetchone()
    if chat is None:
        text = f"You have {values['max_chats']} chats, which is the limit. Delete some of them."
        return ApiError(429, "too_many_chats", text, RETRY_SECONDS)
    if not chat["own"]:
        return ApiError(404, "no_such_chat", "There is no such chat.")
    if chat["full"]:
        text = f"This chat has {values['max_messages']} messages, the limit. Begin another chat."
        return ApiError(429, "too_many_messages", text, RETRY_SECONDS)
    if chat["free"] and values["replaces"] not in (None, chat["asked"]):
        text = "This is no longer the last question of the chat. Load it again."
        return ApiError(409, "question_replaced", text)
    return ChatBusyError(chat["asked"])
