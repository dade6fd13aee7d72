"""Long-term memory: what is kept about each user, in the tables of `AsyncDatabricksStore`."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import openai
from langgraph.store.base import BaseStore
from langgraph.store.postgres.aio import AsyncPostgresStore
from langgraph.store.postgres.base import PostgresIndexConfig
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from agent_server.identity import User
from agent_server.lakebase import Pool, schema_name
from agent_server.settings import SettingsError, setting, whole_number

log = logging.getLogger(__name__)

NEAREST = 5
# pgvector's limit for an index over a `vector` column; longer ones are searched one by one.
MAX_INDEXED_DIMS = 2000


def build_store(pool: Pool, client: openai.AsyncOpenAI) -> AsyncPostgresStore:
    """Return the store, which embeds what it keeps through the embedding endpoint."""

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        return await _embed(client, texts)

    dims = whole_number("EMBEDDING_DIMS")
    index: PostgresIndexConfig = {"dims": dims, "embed": embed, "fields": ["memory"]}
    if dims > MAX_INDEXED_DIMS:
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


async def _embed(client: openai.AsyncOpenAI, texts: Sequence[str]) -> list[list[float]]:
    answer = await client.embeddings.create(
        model=setting("EMBEDDING_ENDPOINT"), input=list(texts), encoding_format="float"
    )
    return [item.embedding for item in answer.data]


async def _check_dims(connection: AsyncConnection[DictRow], client: openai.AsyncOpenAI) -> None:
    endpoint, wanted = setting("EMBEDDING_ENDPOINT"), whole_number("EMBEDDING_DIMS")
    try:
        returned = len((await _embed(client, ["dimensions"]))[0])
    except openai.APIError as error:
        log.warning("could not ask %s for the length of its vectors: %s", endpoint, error)
        returned = wanted
    column = await _column_dims(connection)
    if {returned, column or wanted} != {wanted}:
        raise SettingsError(
            f"Vectors do not fit: {endpoint} returns {returned} numbers, EMBEDDING_DIMS is "
            f"{wanted}, and the column store_vectors.embedding holds {column or 'none yet'}. "
            "Set EMBEDDING_DIMS to what the endpoint returns; to change an existing column, "
            "use another LAKEBASE_AGENT_MEMORY_SCHEMA."
        )


async def _column_dims(connection: AsyncConnection[DictRow]) -> int | None:
    query = """
        SELECT atttypmod AS dims FROM pg_attribute a
        JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relname = 'store_vectors' AND a.attname = 'embedding'
    """
    row = await (await connection.execute(query, [schema_name()])).fetchone()
    return row["dims"] if row else None
