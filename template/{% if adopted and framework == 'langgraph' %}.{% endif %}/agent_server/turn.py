"""One turn of your agent: who asks, their thread, and what is remembered about them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from langchain_core.messages import BaseMessage, convert_to_messages
from langchain_core.runnables import RunnableConfig

from agent_server.caller import user_of
from agent_server.identity import User
from agent_server.opening import process_memory
from agent_server.threads.messages import kept_and_new, missing_results


@dataclass(frozen=True)
class Turn:
    """What the graph is built with and run with: `checkpointer`, `store`, `user` as context."""

    user: User
    thread_id: str
    checkpointer: Any
    store: Any

    @property
    def config(self) -> RunnableConfig:
        """What names the thread to the graph: nobody reaches another user's with any id."""
        return {"configurable": {"thread_id": self.user.thread_key(self.thread_id)}}

    async def to_input(self, sent: Any) -> dict[str, list[BaseMessage]]:
        """Return what the graph runs on: of the messages sent, those the thread does not hold.

        They come as a list, or as the graph's input, a mapping with `messages`. Before them, a
        result for each tool call that a crash left without one.
        """
        messages = convert_to_messages(sent["messages"] if isinstance(sent, Mapping) else sent)
        sent = [m for m in messages if m.type in ("human", "ai", "tool")]
        saved = await self.checkpointer.aget_tuple(self.config) if self.checkpointer else None
        held = saved.checkpoint["channel_values"].get("messages", []) if saved else []
        _, new = kept_and_new(held, sent)
        return {"messages": [*missing_results(held), *new]}


@asynccontextmanager
async def open_turn(headers: Mapping[str, str], thread_id: str = "") -> AsyncIterator[Turn]:
    """Yield a turn of the user whom `headers` name, in one of their threads (else a new one).

    The thread is this turn's alone until it ends. Raises ApiError when the headers name nobody,
    or another turn keeps the thread; and what opening the memory raises.
    """
    user, memory = await user_of(headers), await process_memory()
    thread_id = thread_id or str(uuid4())
    async with memory.open_thread(user.thread_key(thread_id)) as checkpointer:
        yield Turn(user, thread_id, checkpointer, memory.store)
