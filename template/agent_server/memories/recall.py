"""Memories put before a turn, so that the model knows them without asking for them."""

import asyncio
import logging
from typing import Any, Protocol

import openai
import psycopg

from agent_server.database.text import shortened, to_storable
from agent_server.errors import ApiError
from agent_server.identity import User
from agent_server.settings import limit

log = logging.getLogger(__name__)

SECONDS = 5  # that a turn waits for them
BYTES = 8000  # of the prompt, at most
HEAD = "\n\nWhat you remember about the user that may matter now:\n"


class Searchable(Protocol):
    """The part of the store that is needed."""

    async def asearch(
        self, namespace_prefix: tuple[str, ...], /, *, query: str | None = None, limit: int = 10
    ) -> Any:
        """Return at most `limit` memories, nearest to `query` first."""


async def recall(store: Searchable | None, user: User, question: str) -> str:
    """Return what to add to the prompt: what is remembered about the user, near to the question.

    It is empty if there is nothing, and if the search fails or takes longer than SECONDS.
    """
    query = shortened(to_storable(question), limit("MEMORY_CHARACTERS"))
    if store is None or not query.strip():
        return ""
    most = limit("MEMORIES_FOUND")
    try:
        async with asyncio.timeout(SECONDS):
            found = await store.asearch(user.namespace, query=query, limit=most)
    except (openai.OpenAIError, psycopg.Error, ApiError, TimeoutError) as error:
        log.warning("a turn goes on without memories: %r", error)
        return ""
    lines = [f"- {item.value.get('memory', '')}" for item in found]
    return shortened(HEAD + "\n".join(lines), BYTES) if lines else ""
