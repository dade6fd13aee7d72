"""One attempt at a background run, in the process that has claimed it."""

import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from agent_server import background_store as store
from agent_server.background_response import DurableResponse
from agent_server.events import Event, EventLog
from agent_server.lakebase import Connection
from agent_server.requests import Turn
from agent_server.runs import Run

log = logging.getLogger(__name__)

# What else belongs into the transaction in which a run ends: its turn, and the body it ends with.
OnEnd = Callable[[Connection, Turn, dict[str, Any]], Awaitable[None]]


@dataclass(eq=False)
class Attempt:
    """One attempt at a background run, claimed by this process."""

    turn: Turn
    response: DurableResponse
    claim: UUID
    run: Run
    told: EventLog  # what is written down, for readers
    waiting: list[Event] = field(default_factory=list)  # what is not
    over: bool = False  # nothing follows what is waiting
    ended: bool = False  # written down to its end

    def entry(self) -> store.Entry:
        """Return what is to be written down."""
        body, start = self.response.body, self.told.end
        status, final = (body["status"], json.dumps(body)) if self.over else ("in_progress", None)
        return store.Entry(body["id"], self.claim, status, final, start, tuple(self.waiting))

    def tell(self, entry: store.Entry) -> None:
        """Show readers what has been written down."""
        del self.waiting[: len(entry.events)]
        for event in entry.events:
            self.told.append(event)
        self.ended = entry.body is not None


async def end(
    connection: Connection, on_end: OnEnd | None, turn: Turn, body: dict[str, Any]
) -> None:
    """Call `on_end`; what it changes is undone when it fails, and the run ends all the same."""
    if on_end:
        try:
            async with connection.transaction():
                await on_end(connection, turn, body)
        except Exception:  # the edge of the project's own code
            log.exception("what follows the end of a run failed")
