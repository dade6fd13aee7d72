"""One turn of your agent: the user, their session, and the memories about them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

from agents import TResponseInputItem
from agents.result import RunResultBase

from agent_server.caller import checked_id, user_of
from agent_server.context import Context
from agent_server.opening import process_memory
from agent_server.threads.messages import kept_and_new

Result = TypeVar("Result", bound=RunResultBase)


@dataclass
class Turn:
    """What to run the agent with; `context` holds the user and the store."""

    context: Context
    thread_id: str
    session: Any
    _new: list[TResponseInputItem] = field(default_factory=list)

    async def to_input(self, items: str | Sequence[Any]) -> list[TResponseInputItem]:
        """Return the input of the agent: the session, and those of `items` it does not hold."""
        items = [{"role": "user", "content": items}] if isinstance(items, str) else items
        sent = [item for item in items if item.get("role") not in ("system", "developer")]
        held = await self.session.get_items() if self.session else []
        _, new = kept_and_new(held, sent)
        self._new = list(new)
        return [*held, *new]

    async def save(self, result: Result) -> Result:
        """Add the whole turn to the session at once, and return its result.

        A turn that fails leaves nothing behind.
        """
        if self.session:
            said = [item.to_input_item() for item in result.new_items]
            await self.session.add_items([*self._new, *said])
        return result


@asynccontextmanager
async def open_turn(headers: Mapping[str, str], thread_id: str | None = "") -> AsyncIterator[Turn]:
    """Yield a turn of the user whom `headers` name, in one of their sessions or in a new one.

    The turn has the session to itself until it ends. Raises ApiError when the headers name no user,
    the id is not valid or another turn holds the session, and whatever `process_memory` raises.
    """
    thread_id = checked_id(thread_id or "") or str(uuid4())
    user, memory = await user_of(headers), await process_memory()
    async with memory.open_thread(user.thread_key(thread_id)) as session:
        yield Turn(Context(user, memory.store), thread_id, session)
