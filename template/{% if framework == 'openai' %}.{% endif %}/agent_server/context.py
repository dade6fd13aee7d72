"""What tools may use and the model never sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from agent_server.identity import User
from agent_server.settings import SettingsError


class Memory(Protocol):
    """Something that the agent remembers about a user."""

    @property
    def key(self) -> str:
        """Its name, by which it can be replaced or forgotten."""

    @property
    def value(self) -> dict[str, Any]:
        """What is remembered, under `memory`."""

    @property
    def updated_at(self) -> datetime:
        """When it was last saved."""


class Store(Protocol):
    """Long-term memory: the part of LangGraph's `BaseStore` that is used here."""

    async def asearch(
        self, namespace_prefix: tuple[str, ...], /, *, query: str | None = None, limit: int = 10
    ) -> Sequence[Memory]:
        """Return at most `limit` memories, nearest to `query` first; without one, latest first."""

    async def aput(self, namespace: tuple[str, ...], key: str, value: dict[str, Any]) -> None:
        """Save a memory, in place of one with the same key."""

    async def adelete(self, namespace: tuple[str, ...], key: str) -> None:
        """Forget a memory."""


@dataclass(frozen=True)
class Context:
    """The user of the turn and, with long-term memory, the store that remembers them."""

    user: User
    opened_store: Store | None = None

    @property
    def store(self) -> Store:
        """The store; raises SettingsError in a project without long-term memory."""
        if self.opened_store is None:
            raise SettingsError("This project has no long-term memory: see `memory` in README.md.")
        return self.opened_store
