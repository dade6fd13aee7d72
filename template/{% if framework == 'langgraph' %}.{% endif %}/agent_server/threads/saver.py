"""The checkpointer of one turn: LangGraph's own, with fewer questions to Postgres.

It writes the same rows. To find the last full copy of a thread, LangGraph's reads a row of each of
up to 1,024 earlier checkpoints; this one reads back to it, or knows it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from agent_server.database.pool import Pool
from agent_server.threads.checkpoint_queries import COLUMNS, HISTORY, ORDER, WITHOUT_COPY, WRITE
from agent_server.threads.messages import HELD, copied, held_size
from agent_server.threads.recent import Recent

MESSAGES = "messages"
# The messages at a thread's latest checkpoint, and which that is.
RecentThreads = Recent[tuple[str, DeltaChannelHistory]]


class _WithoutCopies(AsyncPostgresSaver):
    """LangGraph's checkpointer, except that it reads no full copy of the messages."""

    SELECT_SQL = WITHOUT_COPY


class Saver(AsyncPostgresSaver):
    """A checkpointer over the app's pool, which remembers a thread's messages in `recent`."""

    def __init__(self, pool: Pool, recent: RecentThreads) -> None:
        super().__init__(pool)
        self._pool, self._recent = pool, recent
        self._unsaved: list[tuple[Any, ...]] = []
        self._saving: asyncio.Task[None] | None = None
        # What this turn wrote to the messages at each checkpoint; None where others may have, too.
        self._written: dict[str, dict[tuple[str, str, int], tuple[Any, int]] | None] = {}

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint."""
        found = await self._latest(config) or await super().aget_tuple(config)
        if found and any(write[1] == MESSAGES for write in found.pending_writes or ()):
            self._written[found.config["configurable"]["checkpoint_id"]] = None
        return found

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return the last full copy of each channel, and what was written to it since."""
        place, found = config["configurable"], {}
        for channel in channels if place.get("checkpoint_id") else ():
            if history := await self._history(place, channel):
                found[channel] = history
        if len(found) < len(channels):  # a copy that is not in a row of its own
            return await super().aget_delta_channel_history(config=config, channels=channels)
        return found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint."""
        stored = await super().aput(config, checkpoint, metadata, new_versions)
        if not config["configurable"].get("checkpoint_ns"):
            self._remember(config["configurable"], checkpoint)
        return stored

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store what a task wrote; what several write at once, together."""
        at = config["configurable"]
        if not writes or any(channel in WRITES_IDX_MAP for channel, _ in writes):
            self._written[at["checkpoint_id"]] = None
            return await super().aput_writes(config, writes, task_id, task_path)
        place = (at["thread_id"], at["checkpoint_ns"], at["checkpoint_id"], task_id, task_path)
        for index, (channel, value) in enumerate(writes):
            kind, data = self.serde.dumps_typed(value)
            self._unsaved.append((*place, index, channel, kind, data))
            written = self._written.setdefault(at["checkpoint_id"], {})
            if channel == MESSAGES and not at["checkpoint_ns"] and written is not None:
                written.setdefault((task_path, task_id, index), (value, len(data)))
        if self._saving is None:
            self._saving = self._pool.apart(self._save())
        await asyncio.shield(self._saving)

    async def _latest(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a thread's latest checkpoint, if this process knows the full copy that it has."""
        place = config["configurable"]
        (latest, history), _ = self._recent.find(place["thread_id"]) or (("", None), 0)
        other = place.get("checkpoint_id") or place.get("checkpoint_ns")
        if history is None or "seed" not in history or history["writes"] or other:
            return None
        found = await _WithoutCopies(self._pool, serde=self.serde).aget_tuple(config)
        if found is None or found.config["configurable"]["checkpoint_id"] != latest:
            return None
        if found.checkpoint["channel_values"].get(MESSAGES) is True:  # LangGraph's mark of a copy
            found.checkpoint["channel_values"][MESSAGES] = copied(history["seed"])
        return found

    async def _save(self) -> None:
        rows, self._unsaved, self._saving = self._unsaved, [], None
        values = dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
        async with self._pool.connection() as connection:
            await connection.execute(WRITE, values)

    async def _history(self, at: Mapping[str, Any], channel: str) -> DeltaChannelHistory | None:
        whole = channel == MESSAGES and not at.get("checkpoint_ns")
        if whole and (known := self._known(at["thread_id"], at["checkpoint_id"])):
            return _copied(known[0])
        rows = await self._read(at, channel)
        history = DeltaChannelHistory(writes=[])
        for row in sorted(rows, key=ORDER):
            if row["type"] is None or row["type"] == "empty":
                return None
            value = self.serde.loads_typed((row["type"], row["blob"]))
            if row["idx"] < 0:
                history["seed"] = value
            else:
                history["writes"].append((row["task_id"], channel, value))
        if whole:
            size = HELD * sum(len(row["blob"]) for row in rows)
            self._recent.keep(at["thread_id"], (at["checkpoint_id"], _copied(history)), size)
        return history

    async def _read(self, at: Mapping[str, Any], channel: str) -> list[Any]:
        place = {"thread": at["thread_id"], "ns": at.get("checkpoint_ns", "")}
        values = {**place, "checkpoint": at["checkpoint_id"], "channel": channel}
        async with self._pool.connection() as connection, connection.cursor(binary=True) as cursor:
            return await (await cursor.execute(HISTORY, values)).fetchall()

    def _remember(self, at: Mapping[str, Any], checkpoint: Checkpoint) -> None:
        """Keep the messages as the checkpoint just stored has them, if all are known."""
        thread, parent = at["thread_id"], at.get("checkpoint_id")
        new = DeltaChannelHistory(writes=[])
        known, size = self._known(thread, parent) or (None if parent else new, 0)
        written = self._written.get(parent or "", {})
        if MESSAGES in checkpoint["channel_values"]:  # a full copy
            new["seed"] = copied(checkpoint["channel_values"][MESSAGES])
            size = held_size(new["seed"])
        elif known is None or written is None:
            return self._recent.drop(thread)
        else:
            added = [written[key] for key in sorted(written)]
            writes = [("", MESSAGES, copied(value)) for value, _ in added]  # `known` is our own
            new = {**known, "writes": [*known["writes"], *writes]}
            size += HELD * sum(length for _, length in added)
        self._recent.keep(thread, (checkpoint["id"], new), size)

    def _known(self, thread: str, checkpoint: str | None) -> tuple[DeltaChannelHistory, int] | None:
        (latest, history), size = self._recent.find(thread) or (("", None), 0)
        return (history, size) if history is not None and latest == checkpoint else None


def _copied(history: DeltaChannelHistory) -> DeltaChannelHistory:
    """Return a history with messages of its own: an agent may change those that it is given."""
    writes = [(task, channel, copied(value)) for task, channel, value in history["writes"]]
    new = DeltaChannelHistory(writes=writes)
    if "seed" in history:
        new["seed"] = copied(history["seed"])
    return new
