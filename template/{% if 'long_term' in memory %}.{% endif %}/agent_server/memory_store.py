"""Long-term memory: what is kept about each user, in the tables of `AsyncDatabricksStore`."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import openai
from langgraph.store.base import BaseStore
from langgraph.store.postgres.aio import AsyncPostgresStore
from langgraph.store.postgres.base import PostgresIndexConfig

from agent_server.identity import User
from agent_server.lakebase import Connection, Pool, schema_name
from agent_server.settings import SettingsError, setting

log = logging.getLogger(__name__)

NEAREST = 5
# pgvector's limit for an index over a `vector` column; longer ones are searched one by one.
MAX_INDEXED_DIMS = 2000
COLUMN_DIMS = """
    SELECT atttypmod AS dims FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = 'store_vectors' AND a.attname = 'embedding'"""


def build_store(pool: Pool, client: openai.AsyncOpenAI) -> AsyncPostgresStore:
    """Return the store, which embeds what it keeps through the embedding endpoint."""
    embed = partial(_embed, client)
    index: PostgresIndexConfig = {"dims": embedding_dims(), "embed": embed, "fields": ["memory"]}
    if embedding_dims() > MAX_INDEXED_DIMS:
        index["ann_index_config"] = {"kind": "flat", "vector_type": "vector"}
    return AsyncPostgresStore(pool, index=index)


async def create_memory_tables(pool: Pool, client: openai.AsyncOpenAI) -> None:
    """Create the store's tables; SettingsError when the vectors would not fit."""
    async with pool.connection() as connection:
        # In public, where every app of the database finds it; the store would put it in its own.
        await connection.execute("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public")
        await _check_dims(connection, client)
    await build_store(pool, client).setup()


@dataclass(frozen=True)
class UserMemories:
    """What is kept about one user; nobody else's can be named."""

    store: BaseStore
    user: User

    @property
    def _namespace(self) -> tuple[str, str]:
        return ("memories", self.user.key)

    async def search(self, query: str) -> list[dict[str, Any]]:
        """Return the memories nearest in meaning to `query`, the nearest first."""
        found = await self.store.asearch(self._namespace, query=query, limit=NEAREST)
        return [{"memory_key": item.key, **item.value} for item in found]

    async def save(self, memory_key: str, memory: str) -> None:
        """Keep `memory` under `memory_key`, in place of what was there."""
        await self.store.aput(self._namespace, memory_key, {"memory": memory})

    async def delete(self, memory_key: str) -> None:
        """Forget what is kept under `memory_key`, if anything is."""
        await self.store.adelete(self._namespace, memory_key)


def embedding_dims() -> int:
    """Return EMBEDDING_DIMS; raises SettingsError unless it is a number of dimensions."""
    value = setting("EMBEDDING_DIMS")
    if not re.fullmatch("[1-9][0-9]{0,4}", value):
        raise SettingsError(f"EMBEDDING_DIMS must be a whole number above zero, not {value!r}.")
    return int(value)


async def _embed(client: openai.AsyncOpenAI, texts: Sequence[str]) -> list[list[float]]:
    model = setting("EMBEDDING_ENDPOINT")
    answer = await client.embeddings.create(model=model, input=list(texts), encoding_format="float")
    return [item.embedding for item in answer.data]


async def _check_dims(connection: Connection, client: openai.AsyncOpenAI) -> None:
    endpoint, wanted = setting("EMBEDDING_ENDPOINT"), embedding_dims()
    try:
        returned = len((await _embed(client, ["dimensions"]))[0])
    except openai.APIError as error:
        log.warning("could not ask %s for the length of its vectors: %s", endpoint, error)
        returned = wanted
    row = await (await connection.execute(COLUMN_DIMS, [schema_name()])).fetchone()
    held = row["dims"] if row else wanted
    if {returned, held} != {wanted}:
        raise SettingsError(
            f"Vectors do not fit: {endpoint} returns {returned} numbers, EMBEDDING_DIMS is "
            f"{wanted}, the column store_vectors.embedding holds {held}. Set EMBEDDING_DIMS to "
            "what is returned; a column keeps its size, so choose another schema for another."
        )
