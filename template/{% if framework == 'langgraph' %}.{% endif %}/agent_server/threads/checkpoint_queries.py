"""What the checkpointer asks Postgres, where that is not what LangGraph's asks."""

from operator import itemgetter

from langgraph.checkpoint.postgres.base import SELECT_SQL

# LangGraph's query for a checkpoint, without the full copy of the messages that it may have. If a
# later LangGraph words it otherwise, the copy is read, as before.
PLACE = "and bl.version = jsonb_each_text.value"
WITHOUT_COPY = SELECT_SQL.replace(
    PLACE,
    f"""{PLACE} and not (
            bl.channel = 'messages' and checkpoint -> 'channel_values' -> 'messages' = 'true')""",
)
# From the parent of a checkpoint back to the nearest full copy: that, and what was written since.
HISTORY = """
    WITH RECURSIVE earlier AS (
        SELECT parent_checkpoint_id AS id, 0 AS place, '' AS version, false AS whole
        FROM checkpoints WHERE thread_id = %(thread)s AND checkpoint_ns = %(ns)s
            AND checkpoint_id = %(checkpoint)s
        UNION ALL
        SELECT c.parent_checkpoint_id, place + 1, c.checkpoint_id,
            c.checkpoint -> 'channel_values' ? %(channel)s OR EXISTS (
                SELECT FROM checkpoint_blobs b WHERE b.thread_id = %(thread)s
                AND b.checkpoint_ns = %(ns)s AND b.channel = %(channel)s
                AND b.version = c.checkpoint -> 'channel_versions' ->> %(channel)s
                AND b.type <> 'empty')
        FROM earlier JOIN checkpoints c ON c.thread_id = %(thread)s
            AND c.checkpoint_ns = %(ns)s AND c.checkpoint_id = earlier.id
        WHERE NOT whole)
    SELECT -place AS place, '' AS task_path, '' AS task_id, -1 AS idx, b.type, b.blob
    FROM earlier JOIN checkpoints c ON c.thread_id = %(thread)s
        AND c.checkpoint_ns = %(ns)s AND c.checkpoint_id = earlier.version
    LEFT JOIN checkpoint_blobs b ON b.thread_id = %(thread)s AND b.checkpoint_ns = %(ns)s
        AND b.channel = %(channel)s
        AND b.version = c.checkpoint -> 'channel_versions' ->> %(channel)s
    WHERE whole
    UNION ALL
    SELECT -place, w.task_path, w.task_id, w.idx, w.type, w.blob
    FROM earlier JOIN checkpoint_writes w ON w.thread_id = %(thread)s
        AND w.checkpoint_ns = %(ns)s AND w.checkpoint_id = earlier.version
        AND w.channel = %(channel)s"""
WRITE = """
    INSERT INTO checkpoint_writes
        (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
    SELECT * FROM unnest(
        %(thread)s::text[], %(ns)s::text[], %(checkpoint)s::text[], %(task)s::text[],
        %(path)s::text[], %(idx)s::int[], %(channel)s::text[], %(type)s::text[], %(blob)b::bytea[])
    ON CONFLICT DO NOTHING"""
COLUMNS = ("thread", "ns", "checkpoint", "task", "path", "idx", "channel", "type", "blob")
# The steps in turn, and in each the order of its tasks.
ORDER = itemgetter("place", "task_path", "task_id", "idx")
