"""One turn of your agent: the user, their thread, and the memories about them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

from langchain_core.messages import convert_to_messages
from langchain_core.runnables import RunnableConfig
from langgraph.pregel import Pregel

from agent_server.caller import checked_id, user_of
from agent_server.identity import User
from agent_server.opening import process_memory
from agent_server.threads.messages import kept_and_new, missing_results


@dataclass(frozen=True)
class Turn:
    """What to run your graph with: `graph`, `config_with`, and `user` as its context."""

    user: User
    thread_id: str
    checkpointer: Any
    store: Any

    @property
    def config(self) -> RunnableConfig:
        """The config that names the thread; no `thread_id` leads to another user's thread."""
        return {"configurable": {"thread_id": self.user.thread_key(self.thread_id)}}

    def config_with(self, own: Mapping[str, Any] | None) -> RunnableConfig:
        """Return your own config, with all that it configures but the thread."""
        configurable = {**((own or {}).get("configurable") or {}), **self.config["configurable"]}
        return cast(RunnableConfig, {**(own or {}), "configurable": configurable})

    def graph(self, own: Pregel[Any, Any, Any, Any]) -> Pregel[Any, Any, Any, Any]:
        """Return your graph with this thread and the memories, whatever it was built with."""
        memory = {"checkpointer": self.checkpointer, "store": self.store}
        return own.copy({name: value for name, value in memory.items() if value is not None})

    async def to_input(self, sent: Any) -> Any:
        """Return the input of the graph: the messages in `sent` that the thread does not hold.

        `sent` is a list of messages, or a mapping with `messages`, whose other keys are kept; what
        is neither, such as a `Command`, is returned as it is. Results come first for tool calls
        that a crash left without one.
        """
        state = sent if isinstance(sent, Mapping) else {"messages": sent}
        if not isinstance(state.get("messages"), list | tuple):
            return sent
        messages = convert_to_messages(state["messages"])
        sent = [m for m in messages if m.type in ("human", "ai", "tool")]
        saved = await self.checkpointer.aget_tuple(self.config) if self.checkpointer else None
        held = saved.checkpoint["channel_values"].get("messages", []) if saved else []
        _, new = kept_and_new(held, sent)
        return {**state, "messages": [*missing_results(held), *new]}


@asynccontextmanager
async def open_turn(headers: Mapping[str, str], thread_id: str | None = "") -> AsyncIterator[Turn]:
    """Yield a turn of the user whom `headers` name, in one of their threads or in a new one.

    The turn has the thread to itself until it ends. Raises ApiError when the headers name no user,
    the id is not valid or another turn holds the thread, and whatever `process_memory` raises.
    """
    thread_id = checked_id(thread_id or "") or str(uuid4())
    user, memory = await user_of(headers), await process_memory()
    async with memory.open_thread(user.thread_key(thread_id)) as checkpointer:
        yield Turn(user, thread_id, checkpointer, memory.store)
