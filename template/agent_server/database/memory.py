"""Long-term memory: facts about each user, in the tables of `AsyncDatabricksStore`."""

import logging
import re
from collections.abc import Sequence
from functools import partial

import openai
from langgraph.store.postgres.aio import AsyncPostgresStore
from langgraph.store.postgres.base import PostgresIndexConfig
from openai.types import CreateEmbeddingResponse

from agent_server.database.lakebase import schema_name
from agent_server.database.pool import Connection, Pool
from agent_server.settings import SettingsError, setting

log = logging.getLogger(__name__)

MAX_DIMS = 2000  # that pgvector can index in a `vector` column
COLUMN_DIMS = """
    SELECT atttypmod AS dims FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = 'store_vectors' AND a.attname = 'embedding'"""


async def open_store(
    pool: Pool, connection: Connection, client: openai.AsyncOpenAI
) -> AsyncPostgresStore:
    """Return the store, which gets its vectors from `client`.

    Creates its tables over `connection`. Raises SettingsError when the vectors would not fit.
    """
    dims, embed = _dims(), partial(_embed, client)
    # In public, where every app in the database finds it; the store would use the app's schema.
    await connection.execute("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public")
    row = await (await connection.execute(COLUMN_DIMS, [schema_name()])).fetchone()
    await _check_dims(client, dims, row["dims"] if row else dims)
    index: PostgresIndexConfig = {"dims": dims, "embed": embed, "fields": ["memory"]}
    await AsyncPostgresStore(connection, index=index).setup()
    return AsyncPostgresStore(pool, index=index)


def _dims() -> int:
    value = setting("EMBEDDING_DIMS")
    if not (re.fullmatch("[0-9]{1,4}", value) and 1 <= int(value) <= MAX_DIMS):
        raise SettingsError(f"EMBEDDING_DIMS must be a number from 1 to {MAX_DIMS}, not {value!r}.")
    return int(value)


async def _embed(client: openai.AsyncOpenAI, texts: Sequence[str]) -> list[list[float]]:
    body = {"model": setting("EMBEDDING_ENDPOINT"), "input": [*texts], "encoding_format": "float"}
    # Not embeddings.create: MLflow would trace it apart from the turn, because the store embeds in
    # a task of its own.
    answer = await client.post("/embeddings", cast_to=CreateEmbeddingResponse, body=body)
    return [item.embedding for item in answer.data]


async def _check_dims(client: openai.AsyncOpenAI, wanted: int, held: int) -> None:
    endpoint, returned = setting("EMBEDDING_ENDPOINT"), wanted
    try:
        returned = len((await _embed(client, ["dimensions"]))[0])
    except openai.APIError as error:
        log.warning("could not ask %s for the length of its vectors: %s", endpoint, error)
    if not returned == wanted == held:
        raise SettingsError(
            f"Vectors do not fit: {endpoint} returns {returned} numbers, EMBEDDING_DIMS is "
            f"{wanted}, the column store_vectors.embedding holds {held}. Set EMBEDDING_DIMS to "
            "what is returned; a column keeps its size, so choose another schema for another."
        )
