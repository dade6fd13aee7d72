"""Summaries of what has fallen out of the window, if CONTEXT_SUMMARY is "true".

The model writes them after a turn, when nobody waits for it any more, and many messages at once.
"""

import hashlib
import json
import logging
from collections.abc import Sequence

import openai
import psycopg

from agent_server.after_turns.asking import AfterTurn
from agent_server.database.migrations import migrate
from agent_server.database.pool import Connection, Pool
from agent_server.database.text import shortened
from agent_server.errors import ApiError
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.requests import Turn
from agent_server.responses.task import RunTurn
from agent_server.settings import setting
from agent_server.threads import store
from agent_server.threads.window import LETTERS, Message, Seen, begin, context_tokens, size

log = logging.getLogger(__name__)

TABLE = """
    CREATE TABLE IF NOT EXISTS thread_summaries (
        thread_id text PRIMARY KEY, summary text NOT NULL, last_message text NOT NULL)"""
GET = "SELECT summary, last_message FROM thread_summaries WHERE thread_id = %(thread)s"
# Not if another process has written one meanwhile, or the thread has been deleted.
PUT = """
    INSERT INTO thread_summaries AS held
    SELECT %(thread)s, %(summary)s, %(last)s WHERE EXISTS ({})
    ON CONFLICT (thread_id) DO UPDATE
    SET summary = excluded.summary, last_message = excluded.last_message
    WHERE held.last_message = %(before)s"""
SHARE = 4  # of the window: so much must have fallen out, and so long may a summary be
PROMPT = (
    "Summarise a conversation for the assistant that continues it: names, facts, decisions, open "
    "matters, in few words. Keep what the earlier summary says. Answer with the summary alone."
)


async def create_thread_tables(connection: Connection) -> None:
    """Create the tables of threads, and of their summaries."""
    await store.create_thread_tables(connection)
    await migrate(connection, "summaries", [TABLE])


class Summaries:
    """The summaries of threads, written by `model`."""

    def __init__(self, pool: Pool, model: AfterTurn) -> None:
        self._pool, self._model = pool, model

    def around(self, run_turn: RunTurn) -> RunTurn:
        """Return what runs turns as `run_turn` does, with the thread's summary before the window.

        Does nothing unless CONTEXT_SUMMARY is "true".
        """
        if setting("CONTEXT_SUMMARY") != "true" or not context_tokens():
            return run_turn

        async def run(turn: Turn, response: ResponseBuilder) -> None:
            noted = begin()
            noted.summary, last = await self._read(turn.thread_key)
            await run_turn(turn, response)
            new = _after(last, noted.fallen)
            if sum(map(size, new)) > context_tokens() // SHARE:
                self._model.begin(self._write(turn.thread_key, noted, new, last))

        return run

    async def _read(self, thread_key: str) -> tuple[str, str]:
        async with self._pool.connection() as connection:
            row = await (await connection.execute(GET, {"thread": thread_key})).fetchone()
        return (row["summary"], row["last_message"]) if row else ("", "")

    async def _write(
        self, thread_key: str, noted: Seen, new: Sequence[Message], before: str
    ) -> None:
        said = "\n".join(f"{m['role']}: {_said(m)}" for m in new)
        asked = f"The earlier summary:\n{noted.summary or '(none)'}\n\nWhat was said since:\n{said}"
        try:
            answer = await self._model.ask(PROMPT, asked)
            summary = shortened(answer, context_tokens() * LETTERS // SHARE)
            place = {"thread": thread_key, "summary": summary, "last": _mark(new[-1])}
            async with self._pool.connection() as connection:
                await connection.execute(PUT.format(store.IS_THERE), {**place, "before": before})
        except (openai.OpenAIError, psycopg.Error, ApiError) as error:
            log.warning("a thread was not summarised; the next turn tries again: %r", error)


def _said(message: Message) -> str:
    """Return what a message says, without its images and files."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    return json.dumps(
        [p.get("text", f"({p['type']})") if isinstance(p, dict) else p for p in parts]
    )


def _after(last: str, messages: Sequence[Message]) -> Sequence[Message]:
    """Return the messages after the last one that the summary covers."""
    covered = [place for place, message in enumerate(messages, 1) if _mark(message) == last]
    return messages[max(covered, default=0) :]


def _mark(message: Message) -> str:
    text = json.dumps([message["role"], message.get("content")])
    return hashlib.sha256(text.encode()).hexdigest()
