"""Logs where the event loop is held: while it is, the server answers nobody."""

import asyncio
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from agent_server.settings import limit

log = logging.getLogger(__name__)
PAUSE_SECONDS = 0.02  # between questions to the loop
FRAMES = 12  # of the stack, the innermost


def wanted() -> bool:
    """Return whether to watch: if WATCH_EVENT_LOOP is set, or LOG_LEVEL is DEBUG."""
    return bool(os.environ.get("WATCH_EVENT_LOOP")) or log.isEnabledFor(logging.DEBUG)


@contextmanager
def open_watchdog() -> Iterator[None]:
    """Watch the running event loop.

    When it is held for longer than LOOP_HELD_MILLISECONDS, a warning has the stack of its thread.
    """
    watchdog = _Watchdog(asyncio.get_running_loop())
    watchdog.start()
    try:
        yield
    finally:
        watchdog.stopped.set()


class _Watchdog(threading.Thread):
    """Asks the loop of the thread that creates it, again and again, whether it still turns."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name="watchdog", daemon=True)
        self.stopped = threading.Event()
        self._loop, self._watched = loop, threading.get_ident()
        self._limit = limit("LOOP_HELD_MILLISECONDS")
        self._answered = threading.Event()
        self._cpu = self._used = 0.0  # seconds of the loop's thread: in all, since the last answer

    def run(self) -> None:
        """Ask until stopped, and log each answer that is late."""
        while not self.stopped.wait(PAUSE_SECONDS):
            asked = time.monotonic()
            self._answered.clear()
            self._loop.call_soon_threadsafe(self._answer)
            stack = "" if self._answered.wait(self._limit / 1000) else self._stack()
            while not (self._answered.wait(PAUSE_SECONDS) or self.stopped.is_set()):
                pass
            held = (time.monotonic() - asked) * 1000
            if stack or held > self._limit:
                text = "the event loop was held for %d ms (CPU %d ms)\n%s"
                log.warning(text, held, self._used * 1000, stack)

    def _answer(self) -> None:
        cpu = time.thread_time()
        self._cpu, self._used = cpu, cpu - self._cpu
        self._answered.set()

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._watched)
        return "".join(traceback.format_stack(frame)[-FRAMES:])
