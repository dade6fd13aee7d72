"""Stores the answers of chats, and keeps what they replace."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from agent_server.chat.questions import to_columns, withdraw
from agent_server.chat.requests import Part, to_message
from agent_server.database.pool import Connection, Pool
from agent_server.database.text import to_storable
from agent_server.errors import FILES_REFUSED, ApiError
from agent_server.responses.items import Message
from agent_server.responses.requests import Replaced, Turn
from agent_server.responses.written import Item

RESPONSE_PREFIX = "resp_"  # of a background response's id; the question's id follows

# Locks the chat, so that what the next statements read can't change. No row if the question is no
# longer the chat's: then nothing is written.
FINISH = """
    UPDATE chats SET updated_at = now(), answering = NULL, answering_until = NULL
    WHERE id = %(chat)s AND user_id = %(user)s AND coalesce(answering = %(question)s, true)
        AND (%(again)s OR EXISTS (SELECT FROM messages WHERE id = %(question)s))
    RETURNING id"""
# Replaces the last question and its answer, as the thread does. Both stay if the new turn has not
# ended by itself, unless the same question has no whole answer yet: then the new one is as good.
# What goes is kept with what it replaced itself, if there was an answer.
REPLACE = """
    WITH kept AS (
        SELECT FROM messages WHERE id = %(question)s
        UNION ALL SELECT FROM (
            SELECT role, partial FROM messages WHERE chat_id = %(chat)s
            ORDER BY created_at DESC, id DESC LIMIT 1) last
        WHERE role <> 'user' AND (%(edited)s OR NOT partial) AND NOT %(ended)s),
    gone AS (
        DELETE FROM messages WHERE NOT EXISTS (SELECT FROM kept)
            AND chat_id = %(chat)s AND created_at >= (
                SELECT max(created_at) FROM messages WHERE chat_id = %(chat)s AND role = 'user')
        RETURNING *),
    moved AS (
        UPDATE earlier_messages SET question_id = %(question)s
        WHERE chat_id = %(chat)s AND question_id IN (SELECT id FROM gone)),
    added AS (
        INSERT INTO earlier_messages
            (id, chat_id, question_id, role, content, files, partial, sources, created_at)
        SELECT id, chat_id, %(question)s, role, content, files, partial, sources, created_at
        FROM gone WHERE EXISTS (SELECT FROM gone WHERE role = 'assistant'))
    INSERT INTO messages (id, chat_id, role, content, files, created_at)
    SELECT %(question)s, %(chat)s, 'user', %(text)s, %(files)s, clock_timestamp()
    WHERE NOT EXISTS (SELECT FROM kept)"""
# Times one microsecond apart keep the messages in order.
ANSWER = """
    INSERT INTO messages (chat_id, role, content, partial, sources, trace_id, created_at)
    SELECT chat_id, said->>'role', said->>'content', coalesce((said->>'partial')::boolean, false),
        said->>'sources', %(trace)s,
        clock_timestamp() + place * interval '1 microsecond'
    FROM messages question, jsonb_array_elements(%(said)s) WITH ORDINALITY AS answer (said, place)
    WHERE question.id = %(question)s AND chat_id = %(chat)s"""

QUESTION = """
    SELECT content, files FROM messages m JOIN chats c ON c.id = chat_id
    WHERE c.id = %(chat)s AND user_id = %(user)s AND m.id = %(question)s AND role = 'user'"""
# From the last question on; what tools did may be long, and does not matter.
LAST_TURN = """
    SELECT role, CASE role WHEN 'assistant' THEN content END AS content, partial FROM messages
    WHERE chat_id = (SELECT id FROM chats WHERE id = %(chat)s AND user_id = %(user)s)
        AND created_at >= (
            SELECT max(created_at) FROM messages WHERE chat_id = %(chat)s AND role = 'user')
    ORDER BY created_at, id"""

Row = dict[str, Any]


async def replacing(pool: Pool, turn: Turn, question_id: UUID) -> Turn:
    """Return the turn as one that replaces a question of its chat; raises a 404 ApiError."""
    place = {"chat": UUID(turn.thread_id), "user": turn.user.id, "question": question_id}
    async with pool.connection() as connection:
        asked = await (await connection.execute(QUESTION, place)).fetchone()
    return replace(turn, replaces=Replaced(question_id, _to_question(asked)))


async def knowing_answer(pool: Pool, turn: Turn) -> Turn:
    """Return the turn with what there is of the answer that it replaces, if that is not whole."""
    if not turn.again:
        return turn
    place = {"chat": UUID(turn.thread_id), "user": turn.user.id}
    async with pool.connection() as connection:
        last = await (await connection.execute(LAST_TURN, place)).fetchall()
    said = [row["content"] for row in last if row["role"] == "assistant"]
    cut = last and (last[-1]["partial"] or last[-1]["role"] == "user")
    return replace(turn, unfinished=said if cut else None)


def _to_question(row: Row | None) -> Message:
    if row is None:
        raise ApiError(404, "no_such_chat", "There is no such chat.")
    files = [Part.model_validate(part) for part in json.loads(row["files"] or "[]")]
    return to_message([*files, Part(type="text", text=row["content"])])


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
    said = [*_to_messages(response["output"])]
    if said:
        said[-1]["partial"] = response["status"] != "completed"
    ended = response["status"] in ("completed", "incomplete")  # then the thread has it
    place = {"chat": UUID(turn.thread_id), "user": turn.user.id, "question": question_id}
    trace = {"trace": response.get("custom_outputs", {}).get("trace_id")}
    what = {"said": Jsonb(said), "ended": ended, "again": turn.again}
    what["edited"] = turn.replaces is not None
    values = {**place, **what, **trace, **to_columns(turn)}
    async with connection.transaction():
        if not await (await connection.execute(FINISH, values)).fetchall():
            return
        if turn.again and (said or ended):
            await connection.execute(REPLACE, values)
        if said:
            await connection.execute(ANSWER, values)
        elif (response["error"] or {}).get("code") == FILES_REFUSED:
            await withdraw(connection, turn, question_id)


def _to_messages(output: list[Item]) -> Iterator[Row]:
    results = {i["call_id"]: i["output"] for i in output if i["type"] == "function_call_output"}
    for item in output:
        if item["type"] == "message":
            part = item["content"][0]
            sources = json.dumps(part["annotations"]) if part.get("annotations") else None
            content = to_storable(part["text"])
            yield {"role": "assistant", "content": content, "sources": sources}
        elif item["type"] == "mcp_approval_request":
            asked = {"approval": item["id"], "name": item["name"], "arguments": item["arguments"]}
            yield {"role": "tool", "content": json.dumps(asked)}
        elif item["type"] == "function_call":
            call = {"name": item["name"], "arguments": item["arguments"]}
            content = json.dumps({**call, "output": results.get(item["call_id"])})
            yield {"role": "tool", "content": content}
