"""The `Runs` of this process, from its start to the signal that ends it."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from agent_server.background_attempt import OnEnd
from agent_server.background_runs import Runs
from agent_server.lakebase import Pool

if TYPE_CHECKING:
    from agent_server.turns import Turns

_running: list[Runs] = []


@asynccontextmanager
async def open_runs(turns: "Turns", pool: Pool, on_end: OnEnd | None = None) -> AsyncIterator[None]:
    """Run background turns while the body runs, those that dead processes left included.

    `on_end(connection, turn, body)` is awaited in the transaction in which a run ends, whichever
    process it ends in.
    """
    runs = Runs(turns, pool, on_end)
    await runs.clean()
    _running.append(runs)
    runs.look()
    try:
        with _on_signal(runs.stop):
            yield
    finally:
        _running.remove(runs)
        runs.stop()
        await runs.stopped()


def current_runs() -> Runs:
    """Return the runs of this process, which has them once it is ready."""
    return _running[0]


def look_for_dead_runs() -> None:
    """Take over what dead processes left: somebody waits for it."""
    for runs in _running:
        runs.look()


@contextmanager
def _on_signal(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` when the process is told to end: uvicorn first waits for its last stream."""
    loop = asyncio.get_running_loop()
    main = threading.current_thread() is threading.main_thread()
    earlier = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM) if main}

    def handle(number: int, frame: Any) -> None:
        loop.call_soon_threadsafe(stop)
        if callable(then := earlier[signal.Signals(number)]):
            then(number, frame)

    for number in earlier:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
