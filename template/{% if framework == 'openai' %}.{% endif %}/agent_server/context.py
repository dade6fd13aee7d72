"""What tools may use and the model never sees."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent_server.identity import User

if TYPE_CHECKING:
    from langgraph.store.base import BaseStore


@dataclass(frozen=True)
class Context:
    """The user of the turn, and with long-term memory the store that remembers them."""

    user: User
    store: "BaseStore | None" = None
