"""The checkpointer of one turn: LangGraph's own, with fewer questions to Postgres.

It reads what LangGraph's reads, and writes the same rows. Of a thread, LangGraph's reads a row of
each of up to 1,024 earlier checkpoints to find the last full copy; this one reads back to it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP, DeltaChannelHistory
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from agent_server.database.pool import Pool

# From the parent of a checkpoint back to the nearest one with a full copy: that, and what was
# written since.
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
    SELECT place, '' AS task_path, '' AS task_id, -1 AS idx, b.type, b.blob
    FROM earlier
    JOIN checkpoints c ON c.thread_id = %(thread)s AND c.checkpoint_ns = %(ns)s
        AND c.checkpoint_id = earlier.version
    LEFT JOIN checkpoint_blobs b ON b.thread_id = %(thread)s AND b.checkpoint_ns = %(ns)s
        AND b.channel = %(channel)s
        AND b.version = c.checkpoint -> 'channel_versions' ->> %(channel)s
    WHERE whole
    UNION ALL
    SELECT place, w.task_path, w.task_id, w.idx, w.type, w.blob
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


class Saver(AsyncPostgresSaver):
    """A checkpointer over the app's pool."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self._pool = pool
        self._unsaved: list[tuple[Any, ...]] = []
        self._saving: asyncio.Task[None] | None = None

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return the last full copy of each channel, and what was written to it since."""
        place = config["configurable"]
        if not place.get("checkpoint_id"):
            return await super().aget_delta_channel_history(config=config, channels=channels)
        found = {}
        for channel in channels:
            history = await self._history(place, channel)
            if history is None:  # a copy that is not in a row of its own
                return await super().aget_delta_channel_history(config=config, channels=channels)
            found[channel] = history
        return found

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store what a task wrote; what several write at once, together."""
        if any(channel in WRITES_IDX_MAP for channel, _ in writes):
            return await super().aput_writes(config, writes, task_id, task_path)
        at = config["configurable"]
        place = (at["thread_id"], at["checkpoint_ns"], at["checkpoint_id"], task_id, task_path)
        for index, (channel, value) in enumerate(writes):
            self._unsaved.append((*place, index, channel, *self.serde.dumps_typed(value)))
        if self._saving is None:
            self._saving = self._pool.apart(self._save())
        await asyncio.shield(self._saving)

    async def _save(self) -> None:
        rows, self._unsaved, self._saving = self._unsaved, [], None
        values = dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
        async with self._pool.connection() as connection:
            await connection.execute(WRITE, values)

    async def _history(self, at: Mapping[str, Any], channel: str) -> DeltaChannelHistory | None:
        place = {"thread": at["thread_id"], "ns": at.get("checkpoint_ns", "")}
        values = {**place, "checkpoint": at["checkpoint_id"], "channel": channel}
        async with self._pool.connection() as connection, connection.cursor(binary=True) as cursor:
            rows = await (await cursor.execute(HISTORY, values)).fetchall()
        history = DeltaChannelHistory(writes=[])
        for row in sorted(rows, key=_order):
            if row["type"] is None or row["type"] == "empty":
                return None
            value = self.serde.loads_typed((row["type"], row["blob"]))
            if row["idx"] < 0:
                history["seed"] = value
            else:
                history["writes"].append((row["task_id"], channel, value))
        return history


def _order(row: Mapping[str, Any]) -> tuple[int, str, str, int]:
    """Return where a write belongs: the steps in turn, and in each the order of its tasks."""
    return -row["place"], row["task_path"], row["task_id"], row["idx"]
