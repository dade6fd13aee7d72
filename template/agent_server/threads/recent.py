"""What this process has just read and written of threads, so that the next turn need not read it.

It never tells what a thread is: the database says which version is the latest, and what is kept
here stands for that version alone.
"""

from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar

from agent_server.settings import limit

Value = TypeVar("Value")
RECENT_SECONDS = 600  # that something is kept unused


@dataclass(frozen=True)
class _Kept(Generic[Value]):
    value: Value
    size: int
    until: float


class Recent(Generic[Value]):
    """What is known of some threads, at most RECENT_BYTES in all; the oldest go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept[Value]] = OrderedDict()
        self._bytes = 0

    def find(self, thread_key: str) -> tuple[Value, int] | None:
        """Return what is known of a thread, and its size."""
        self._forget_old()
        kept = self._kept.get(thread_key)
        return (kept.value, kept.size) if kept else None

    def keep(self, thread_key: str, value: Value, size: int) -> None:
        """Keep this of a thread, in place of what was known of it."""
        self.drop(thread_key)
        self._kept[thread_key] = _Kept(value, size, monotonic() + RECENT_SECONDS)
        self._bytes += size
        while self._kept and self._bytes > limit("RECENT_BYTES"):
            self.drop(next(iter(self._kept)))

    def drop(self, thread_key: str) -> None:
        """Keep nothing of a thread."""
        if kept := self._kept.pop(thread_key, None):
            self._bytes -= kept.size

    def _forget_old(self) -> None:
        while self._kept and next(iter(self._kept.values())).until < monotonic():
            self.drop(next(iter(self._kept)))
