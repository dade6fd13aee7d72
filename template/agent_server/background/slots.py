"""Decides which of this process's background runs may run now."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from agent_server.settings import limit

SAVING_SECONDS = 1  # after the end of a suspect, until it is saved in any case


@dataclass(eq=False)
class Slot:
    """A run's permission to run, once it is granted."""

    user_id: str
    suspect: bool  # a process died while this run was running
    granted: asyncio.Event = field(default_factory=asyncio.Event)


class Slots:
    """Grants slots to runs, fairly: the next one goes to the waiting user who holds the fewest.

    There are BACKGROUND_RUNS_AT_ONCE, of which a user may hold BACKGROUND_RUNS_AT_ONCE_PER_USER. A
    user who holds none never waits for another user's runs: they get one beyond these. Suspects
    start one at a time, SUSPECT_SECONDS apart, so that the guilty one brings down no others.
    """

    def __init__(self) -> None:
        self._waiting: list[Slot] = []
        self._held: list[Slot] = []
        self._on_probation: set[Slot] = set()  # suspects that may still bring this process down

    @asynccontextmanager
    async def hold(
        self, user_id: str, suspect: bool, on_wait: Callable[[], None]
    ) -> AsyncIterator[None]:
        """Hold a slot while the body runs; call `on_wait` if it is not granted at once."""
        slot = Slot(user_id, suspect)
        self._waiting.append(slot)
        try:
            self._grant()
            if not slot.granted.is_set():
                on_wait()
            await slot.granted.wait()
            yield
        finally:
            # Also when cancelled between the grant and the wake-up: then the slot is held, too.
            (self._held if slot.granted.is_set() else self._waiting).remove(slot)
            if slot.suspect:
                self._end_probation_after(SAVING_SECONDS, slot)
            self._grant()

    def _grant(self) -> None:
        """Grant every slot that is free."""
        held = Counter(slot.user_id for slot in self._held)
        while ready := [slot for slot in self._waiting if self._may_start(slot, held)]:
            slot = min(ready, key=lambda ready: held[ready.user_id])
            self._waiting.remove(slot)
            self._held.append(slot)
            held[slot.user_id] += 1
            slot.granted.set()
            if slot.suspect:
                self._on_probation.add(slot)
                self._end_probation_after(limit("SUSPECT_SECONDS"), slot)

    def _may_start(self, slot: Slot, held: Counter[str]) -> bool:
        if slot.suspect and self._on_probation:
            return False
        own = held[slot.user_id]
        free = len(self._held) < limit("BACKGROUND_RUNS_AT_ONCE")
        return not own or (free and own < limit("BACKGROUND_RUNS_AT_ONCE_PER_USER"))

    def _end_probation_after(self, seconds: int, slot: Slot) -> None:
        asyncio.get_running_loop().call_later(seconds, self._end_probation, slot)

    def _end_probation(self, slot: Slot) -> None:
        self._on_probation.discard(slot)
        self._grant()
