"""Gives memory back to the system after a request that needed much of it."""

import asyncio
import ctypes
import gc
import os
from collections.abc import Callable
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

PAGES = Path("/proc/self/statm")  # on Linux only
GROWTH = 1.1  # of the memory that the process holds, until some of it is given back
PAUSES = (0, 2, 4, 8)  # seconds before each try: some of what a request held outlives it


class TrimHeap:
    """Middleware: the C library of Linux keeps what is freed between small pieces in use.

    Without this, a process that once held many large answers would never be small again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._trim = _trim()
        self._least = 0  # bytes that the process held after a request
        self._trimming: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request; afterwards look at how much memory is held."""
        try:
            await self._app(scope, receive, send)
        finally:
            if self._trim and not self._trimming:
                self._look(self._trim)

    def _look(self, trim: Callable[[], None]) -> None:
        held = _held()
        self._least = min(self._least or held, held)
        if held > self._least * GROWTH:
            self._trimming = asyncio.create_task(self._trim_until_small(trim))

    async def _trim_until_small(self, trim: Callable[[], None]) -> None:
        for pause in PAUSES:
            await asyncio.sleep(pause)
            await asyncio.to_thread(trim)  # off the event loop: it takes milliseconds
            if pause and _held() <= self._least * GROWTH:
                break
        self._trimming, self._least = None, _held()  # what is still held is in use


def _held() -> int:
    """Return the bytes of memory that the process holds."""
    return int(PAGES.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _trim() -> Callable[[], None] | None:
    """Return what gives free memory back; None where the C library does so itself, or can't."""
    if not PAGES.exists() or not hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        return None

    def trim() -> None:
        gc.collect()  # failed turns are in cycles
        libc.malloc_trim(0)

    return trim
