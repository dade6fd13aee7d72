"""Remembering without being told to, if REMEMBER_AFTER_TURN is "true".

The model looks at a turn after its answer, when nobody waits for it any more. What it finds becomes
a memory of the user like any other: searched, listed, exported, counted and forgotten with them.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Sequence

import openai
import psycopg
from pydantic import BaseModel, TypeAdapter, ValidationError

from agent_server.after_turns.asking import AfterTurn
from agent_server.database.memory import MemoryStore
from agent_server.database.pool import Pool
from agent_server.database.text import shortened, to_storable
from agent_server.errors import ApiError
from agent_server.identity import User
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.items import Message
from agent_server.responses.requests import Turn
from agent_server.responses.task import RunTurn
from agent_server.settings import limit, setting

log = logging.getLogger(__name__)

AT_ONCE, WAITING, WAITING_PER_USER = 4, 64, 4  # turns that are looked at, in a process
SECONDS = 120  # for one turn to be looked at
MOST = 3  # memories of one turn
LETTERS = 8000  # of a question and of its answer that the model sees
# A turn in which the model has used these has had its say.
TOOLS = {"save_user_memory", "delete_user_memory"}
PROMPT = (
    "You keep what an assistant remembers about its user. Find what the user said about themselves "
    "that will matter in later conversations: who they are, what they like, use, plan, decided. "
    "Leave out what is remembered already, what only matters now, what others said, passwords and "
    "other secrets, and what the user does not want remembered. Answer with a JSON list alone, of "
    f'at most {MOST} objects {{"memory_key": "a_short_name", "memory": "One sentence."}}; the key '
    "of a memory that has changed replaces it. If there is nothing, answer []."
)


class Found(BaseModel):
    """A memory, as the model writes it."""

    memory_key: str
    memory: str


FOUND = TypeAdapter(list[Found])


class Remembering:
    """Looks at turns after their answers, with `model`.

    `still_there` is a query that returns no row once the thread %(thread)s has been deleted; empty
    without threads.
    """

    def __init__(
        self, pool: Pool, store: MemoryStore, model: AfterTurn, still_there: str = ""
    ) -> None:
        self._pool, self._store, self._model = pool, store, model
        self._still_there = still_there
        self._room = asyncio.Semaphore(AT_ONCE)
        self._waiting: Counter[str] = Counter()  # turns, by the key of their user

    def around(self, run_turn: RunTurn) -> RunTurn:
        """Return what runs turns as `run_turn` does, and looks at those that are complete.

        Does nothing unless REMEMBER_AFTER_TURN is "true".
        """
        if setting("REMEMBER_AFTER_TURN") != "true":
            return run_turn

        async def run(turn: Turn, response: ResponseBuilder) -> None:
            await run_turn(turn, response)
            if (said := _said(turn, response)) and self._has_room(turn.user):
                self._model.begin(self._look(turn, said))

        return run

    def _has_room(self, user: User) -> bool:
        """Count one more turn, unless too many wait already: then this one is not looked at."""
        if self._waiting.total() >= WAITING or self._waiting[user.key] >= WAITING_PER_USER:
            log.warning("a turn was not looked at for memories: too many wait")
            return False
        self._waiting[user.key] += 1
        return True

    async def _look(self, turn: Turn, said: str) -> None:
        key = turn.user.key
        try:
            async with self._room, asyncio.timeout(SECONDS):
                await self._remember(turn, said)
        except (openai.OpenAIError, psycopg.Error, ApiError, ValueError, TimeoutError) as error:
            log.warning("nothing was remembered of a turn: %r", error)
        finally:
            self._waiting[key] -= 1
            self._waiting += Counter()  # without users who have none

    async def _remember(self, turn: Turn, said: str) -> None:
        place, most = turn.user.namespace, limit("MEMORIES_FOUND")
        query = shortened(said, limit("MEMORY_CHARACTERS"))
        known = await self._store.asearch(place, query=query, limit=most)
        held = [{"memory_key": item.key, **item.value} for item in known]
        asked = f"Remembered already:\n{json.dumps(held, ensure_ascii=False)}\n\nThe turn:\n{said}"
        found = _found(await self._model.ask(PROMPT, asked))
        if found and await self._is_still_there(turn):
            await self._save(turn, [(to_storable(one.memory_key), one.memory) for one in found])

    async def _save(self, turn: Turn, found: Sequence[tuple[str, str]]) -> None:
        """Save memories, and take them back if the user has deleted the thread meanwhile."""
        place = turn.user.namespace
        try:
            for key, memory in found:
                await self._store.aput(place, key, {"memory": to_storable(memory)})
        finally:
            if not await self._is_still_there(turn):
                for key, _ in found:
                    await self._store.adelete(place, key)

    async def _is_still_there(self, turn: Turn) -> bool:
        """Return False if the user has deleted the thread, or all that is theirs, meanwhile."""
        if not self._still_there:
            return True
        async with self._pool.connection() as connection:
            query, values = self._still_there.encode(), {"thread": turn.thread_key}
            return bool(await (await connection.execute(query, values)).fetchall())


def _said(turn: Turn, response: ResponseBuilder) -> str:
    """Return the last question and its answer; empty if there is nothing to remember of them."""
    asked = [i for i in turn.items if isinstance(i, Message) and i.role == "user"]
    output = response.body["output"]
    used = {item["name"] for item in output if item["type"] == "function_call"}
    if response.body["status"] != "completed" or not asked or not TOOLS.isdisjoint(used):
        return ""
    answers = [item for item in output if item["type"] == "message"]
    answer = "".join(part.get("text", "") for item in answers for part in item["content"])
    question = shortened(asked[-1].text, LETTERS)
    return f"User: {question}\n\nAssistant: {shortened(answer, LETTERS)}" if question else ""


def _found(answer: str) -> list[Found]:
    """Return what the model found, in whatever its list is wrapped; raises ValueError."""
    start, end = answer.find("["), answer.rfind("]") + 1
    try:
        return FOUND.validate_json(answer[start:end] if 0 <= start < end else answer)[:MOST]
    except ValidationError as error:
        text = f"the model answered no list of memories: {error.error_count()} mistakes"
        raise ValueError(text) from error
