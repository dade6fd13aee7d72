"""Saves to the store, each in one statement: a value, and the vectors of its texts."""

from collections.abc import Mapping, Sequence

from langgraph.store.base import PutOp, get_text_at_path, validate_op_namespace
from psycopg.types.json import Jsonb

from agent_server.database.pool import Pool
from agent_server.errors import ApiError

# What is there already can be replaced, even when the user may have no more.
SAVE = """
    WITH saved AS (
        INSERT INTO store (prefix, key, value, expires_at, ttl_minutes)
        SELECT %(place)s, %(key)s, %(value)s, now() + make_interval(secs => 60 * %(ttl)s::float8),
            %(ttl)s::float8
        WHERE %(user)s = '' OR EXISTS (SELECT FROM store WHERE prefix = %(place)s AND key = %(key)s)
        OR (SELECT count(*) FROM (
            SELECT FROM store WHERE prefix = %(user)s
            OR (prefix ~>=~ (%(user)s || '.') AND prefix ~<~ (%(user)s || '/'))
            LIMIT %(most)s) AS held) < %(most)s
        ON CONFLICT (prefix, key) DO UPDATE SET value = excluded.value, updated_at = now(),
            expires_at = excluded.expires_at, ttl_minutes = excluded.ttl_minutes
        RETURNING prefix, key
    ), embedded AS (
        INSERT INTO store_vectors (prefix, key, field_name, embedding)
        SELECT prefix, key, field, numbers::vector
        FROM saved, unnest(%(fields)s::text[], %(vectors)s::text[]) AS vector (field, numbers)
        ON CONFLICT (prefix, key, field_name)
        DO UPDATE SET embedding = excluded.embedding, updated_at = now()
    )
    SELECT FROM saved"""


async def save(
    pool: Pool,
    op: PutOp,
    owner: str,
    most: int,
    fields: Sequence[str],
    vectors: Mapping[str, Sequence[float]],
) -> None:
    """Save a value, with the vectors of its texts in `fields`, unless the operation names others.

    `owner` is the namespace whose values are counted; empty for one without a limit. Raises
    ApiError when there are `most` in it. Saves that run at the same moment do not see each
    other: they may exceed it by their number, MEMORY_OPERATIONS_PER_USER in a process.
    """
    validate_op_namespace(op)
    texts = texts_of(op, fields)
    values = {
        "place": ".".join(op.namespace),
        "key": op.key,
        "value": Jsonb(dict(op.value or {})),
        "ttl": op.ttl,
        "user": owner,
        "most": most,
        "fields": [*texts],
        "vectors": [str([*vectors[text]]) for text in texts.values()],
    }
    async with pool.connection() as connection:
        saved = await connection.execute(SAVE, values)
    if not saved.rowcount:
        text = f"There are {most} memories already. Delete one, or save in place of one."
        raise ApiError(409, "too_many_memories", text)


def texts_of(op: PutOp, fields: Sequence[str]) -> dict[str, str]:
    """Return the texts that need a vector, by the names that LangGraph's store gives them."""
    if op.value is None or op.index is False:
        return {}
    found = {}
    for path in fields if op.index is None else op.index:
        texts = get_text_at_path(op.value, path)
        for place, text in enumerate(texts):
            found[f"{path}.{place}" if len(texts) > 1 else path] = text
    return found
