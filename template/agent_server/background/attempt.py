"""One attempt at a background run: what of it is saved, and what becomes of what can't be."""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from agent_server.background import store
from agent_server.background.response import DurableResponse
from agent_server.errors import ApiError
from agent_server.responses.events import Event, EventLog
from agent_server.responses.requests import Turn
from agent_server.responses.task import ResponseTask
from agent_server.settings import limit

log = logging.getLogger(__name__)

RETRY_SECONDS = 1


@dataclass(eq=False)
class Attempt:
    """One attempt at a background run, claimed by this process."""

    turn: Turn
    response: DurableResponse
    claim: UUID
    task: ResponseTask
    seen: EventLog  # by readers: what is saved, and all of it once it can't be saved
    unsaved: list[Event] = field(default_factory=list)
    finished: bool = False  # no event follows the unsaved ones
    seen_whole: bool = False  # including its last event
    failure: ApiError | None = None  # why it could not be saved
    failing_since: float = 0.0
    retry_at: float = 0.0

    def entry(self) -> store.Entry:
        """Return what remains to be saved."""
        body, start = self.response.body, self.seen.end_position
        start -= len(self.unsaved) if self.seen_whole else 0
        status, final = (body["status"], json.dumps(body)) if self.finished else (None, None)
        return store.Entry(body["id"], self.claim, status, final, start, tuple(self.unsaved))

    def mark_saved(self, entry: store.Entry) -> None:
        """Make the saved events visible to readers."""
        self.failure = None
        del self.unsaved[: len(entry.events)]
        if not self.seen_whole:
            self._show(entry.events)
            self.seen_whole = entry.body is not None

    def mark_unsaved(self, failure: ApiError) -> None:
        """Try again later; after SAVE_SECONDS, end the run and tell its readers why."""
        now = time.monotonic()
        self.failing_since = self.failing_since if self.failure else now
        self.failure, self.retry_at = failure, now + RETRY_SECONDS
        if not self.fails_for(limit("SAVE_SECONDS")) or self.seen_whole:
            return
        if self.finished:
            self._fail_whole(failure)
        elif self.unsaved:
            self.response.fail(failure.code, failure.detail)
            self.task.cancel()

    def fails_for(self, seconds: int) -> bool:
        """Return whether it could not be saved for so long."""
        return self.failure is not None and time.monotonic() - self.failing_since >= seconds

    def _fail_whole(self, failure: ApiError) -> None:
        log.error("%s can't be saved: %s", self.turn.response_id, failure.code)
        if self.response.body["status"] != "failed":
            self.unsaved[-1] = self.response.fail_instead(failure.code, failure.detail)
        self._show(self.unsaved)
        self.seen_whole = True
        self.seen.close()

    def _show(self, events: Sequence[Event]) -> None:
        for event in events:
            self.seen.append(event)
