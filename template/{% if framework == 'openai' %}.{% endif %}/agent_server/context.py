"""What tools may use and the model never sees."""

from dataclasses import dataclass
from typing import Any

from agent_server.identity import User


@dataclass(frozen=True)
class Context:
    """The user of the turn, and with long-term memory the store that remembers them."""

    user: User
    store: Any = None
