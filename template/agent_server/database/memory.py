"""Long-term memory: facts about each user, in the tables of `AsyncDatabricksStore`."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from weakref import WeakValueDictionary

import openai
import psycopg
from langgraph.store.base import BaseStore, ListNamespacesOp, Op, PutOp, Result, SearchOp
from langgraph.store.postgres.aio import AsyncPostgresStore
from langgraph.store.postgres.base import PostgresIndexConfig
from psycopg import sql

from agent_server.database.embeddings import check_dims, embed, wanted_dims
from agent_server.database.lakebase import schema_name
from agent_server.database.memory_save import save, texts_of
from agent_server.database.memory_search import find_nearest, query_of
from agent_server.database.pool import Connection, Pool
from agent_server.errors import bad_request
from agent_server.identity import GROUP_MEMORIES, MEMORIES
from agent_server.settings import limit

log = logging.getLogger(__name__)

FIELDS = ["memory"]  # of a value, which are searched by meaning
OWNED = (MEMORIES, GROUP_MEMORIES)  # how the namespaces begin that have an owner
COLUMN_DIMS = """
    SELECT atttypmod AS dims FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = 'store_vectors' AND a.attname = 'embedding'"""
DROP_INDEX = sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}")
LOCK_TIMEOUT = "5s"


class MemoryStore(AsyncPostgresStore):
    """LangGraph's store, in which no operation waits for another user's, or fails with it.

    LangGraph's own runs what everybody asks for at the same moment as one batch, and keeps a
    connection while vectors are computed.
    """

    # Each passes its one operation to `abatch`.
    aget = BaseStore.aget
    asearch = BaseStore.asearch
    aput = BaseStore.aput
    adelete = BaseStore.adelete
    alist_namespaces = BaseStore.alist_namespaces

    def __init__(self, pool: Pool, client: openai.AsyncOpenAI, dims: int) -> None:
        self._embed = partial(embed, client, dims=dims)
        super().__init__(pool, index={"dims": dims, "embed": self._embed, "fields": FIELDS})
        self._pool = pool
        self._shares: WeakValueDictionary[tuple[str, str], asyncio.Semaphore]
        self._shares = WeakValueDictionary()

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Run the operations of one caller, one after the other.

        Raises ApiError when one exceeds a limit, or no vector can be computed.
        """
        ops = [*ops]
        for op in ops:
            _check_text(op)
        owner = next((place for op in ops if (place := _owner_of(op))), "")
        vectors: dict[str, list[float]] = {}
        if texts := list(dict.fromkeys(text for op in ops for text in _texts(op))):
            async with self._share(owner, "vectors"):
                vectors = dict(zip(texts, await self._embed(texts), strict=True))
        async with self._share(owner, "connections"):
            return [await self._run(op, vectors) for op in ops]

    def _share(self, owner: str, what: str) -> AbstractAsyncContextManager[object]:
        """Return what lets in a few operations of a user at once: others find room beside them."""
        if not owner:
            return nullcontext()
        share = asyncio.Semaphore(limit("MEMORY_OPERATIONS_PER_USER"))
        return self._shares.setdefault((owner, what), share)

    async def _run(self, op: Op, vectors: Mapping[str, Sequence[float]]) -> Result:
        if isinstance(op, PutOp) and op.value is not None:
            most = _most(*op.namespace[:1])
            await save(self._pool, op, _owner_of(op), most, FIELDS, vectors)
            return None
        if isinstance(op, SearchOp):
            if query := query_of(op):
                return await find_nearest(self._pool, op, vectors[query])
            op = op._replace(query=None)
        return (await super().abatch([op]))[0]


def _texts(op: Op) -> Iterable[str]:
    """Return the texts of an operation that need a vector."""
    if isinstance(op, SearchOp):
        return filter(None, [query_of(op)])
    return texts_of(op, FIELDS).values() if isinstance(op, PutOp) else []


def _owner_of(op: Op) -> str:
    """Return the namespace of the user or the group whose memories an operation is about.

    It is empty for namespaces of other kinds, which have no limits.
    """
    if isinstance(op, ListNamespacesOp):
        return ""
    place = op.namespace_prefix if isinstance(op, SearchOp) else op.namespace
    return ".".join(place[:2]) if place and place[0] in OWNED else ""


def _most(kind: str = "") -> int:
    """Return how many memories of a kind one owner may have; 0 if that is not limited."""
    if kind == MEMORIES:
        return limit("MEMORIES_PER_USER")
    return limit("MEMORIES_PER_GROUP") if kind == GROUP_MEMORIES else 0


def _check_text(op: Op) -> None:
    """Raise ApiError when a memory or a query is too long, or a memory is empty."""
    if isinstance(op, PutOp) and op.value is not None and _owner_of(op):
        memory = " ".join(str(value) for value in op.value.values())
        _check("memory_key", op.key, limit("MEMORY_KEY_CHARACTERS"))
        _check("memory", memory, limit("MEMORY_CHARACTERS"))
    elif isinstance(op, SearchOp) and _owner_of(op) and (op.query or "").strip():
        _check("query", op.query or "", limit("MEMORY_CHARACTERS"))


def _check(name: str, text: str, most: int) -> None:
    if not text.strip():
        raise bad_request(f"{name} is empty.")
    if len(text) > most:
        text = f"{name} has {len(text)} characters, and may have {most}. Choose a shorter one."
        raise bad_request(text)


async def open_store(pool: Pool, connection: Connection, client: openai.AsyncOpenAI) -> MemoryStore:
    """Return the store, which gets its vectors from `client`.

    Creates its tables over `connection`. Raises SettingsError when the vectors would not fit.
    """
    dims = wanted_dims()
    # In public, where every app in the database finds it; the store would use the app's schema.
    await connection.execute("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public")
    row = await (await connection.execute(COLUMN_DIMS, [schema_name()])).fetchone()
    await check_dims(client, dims, row["dims"] if row else dims)
    index: PostgresIndexConfig = {"dims": dims, "embed": partial(embed, client, dims=dims)}
    await AsyncPostgresStore(connection, index=index).setup()
    await _drop_vector_index(connection)
    return MemoryStore(pool, client, dims)


async def _drop_vector_index(connection: Connection) -> None:
    """Drop the index that `setup` creates: no search uses it, and it makes each save slow."""
    index = sql.Identifier(schema_name(), "store_vectors_embedding_idx")
    await connection.execute("SELECT set_config('lock_timeout', %s, false)", [LOCK_TIMEOUT])
    try:
        # Concurrently: other processes may be using the table.
        await connection.execute(DROP_INDEX.format(index))
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.LockNotAvailable) as error:
        log.warning("could not drop store_vectors_embedding_idx, which slows saves: %s", error)
    finally:
        await connection.execute("RESET lock_timeout")
