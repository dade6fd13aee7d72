"""What a process does when it is told to stop: it takes nothing new, and ends what is left."""

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from weakref import WeakSet

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_server.errors import ApiError
from agent_server.responses.task import ResponseTask
from agent_server.settings import limit
from agent_server.transport.refusal import refuse

log = logging.getLogger(__name__)


def stopping_error() -> ApiError:
    """Return what a request is told that this process can't finish."""
    return ApiError(503, "server_stopping", "The server is stopping. Send the request again.", 2)


class Stopping:
    """Whether this process is stopping, and what it must end before it does."""

    def __init__(self) -> None:
        self.begun = False
        self._turns: WeakSet[ResponseTask] = WeakSet()
        self._requests: set[asyncio.Timeout] = set()

    def add(self, turn: ResponseTask) -> None:
        """End this turn when the time is up."""
        self._turns.add(turn)

    def begin(self) -> None:
        """Refuse new requests from now on, and end in STOP_SECONDS those that are under way."""
        if not self.begun:
            self.begun, loop = True, asyncio.get_running_loop()
            loop.call_later(limit("STOP_SECONDS"), self._end_turns)
            # Then uvicorn cancels what is left.
            loop.call_later(limit("STOP_SECONDS") + limit("END_SECONDS") / 2, self._end_requests)

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[asyncio.Timeout]:
        """Let the body run until the time is up; raises TimeoutError then."""
        async with asyncio.timeout(None) as deadline:
            self._requests.add(deadline)
            try:
                yield deadline
            finally:
                self._requests.discard(deadline)

    async def ended(self) -> None:
        """End the turns that are left, and wait until they have freed their threads."""
        self._end_turns()
        with suppress(TimeoutError):
            async with asyncio.timeout(limit("END_SECONDS")):
                await asyncio.gather(*(t.wait() for t in self._turns), return_exceptions=True)

    def _end_turns(self) -> None:
        ended = [turn for turn in self._turns if turn.stop(stopping_error())]
        if ended:
            log.warning("%d turns were ended, because the server is stopping", len(ended))

    def _end_requests(self) -> None:
        for deadline in self._requests:
            deadline.reschedule(0)


def end_when_stopping(request: Request, turn: ResponseTask) -> None:
    """End the turn of this request when its process stops and the time is up."""
    stopping: Stopping = request.app.state.stopping
    stopping.add(turn)


class EndWhenStopping:
    """ASGI middleware that refuses requests to a process that stops, and ends those it has."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the app answer while there is time."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        stopping: Stopping = scope["app"].state.stopping
        begun = False

        async def send_noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        if not stopping.begun:
            try:
                async with stopping.deadline() as deadline:
                    return await self.app(scope, receive, send_noted)
            except TimeoutError:
                if not deadline.expired():  # raised by the app
                    raise
        if not begun:  # else uvicorn closes the connection, and the client sees that it is cut off
            await refuse(stopping_error(), scope, receive, send)


@contextmanager
def on_signal(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on SIGINT and SIGTERM: uvicorn's own shutdown first waits for open streams."""
    loop = asyncio.get_running_loop()
    main = threading.current_thread() is threading.main_thread()
    earlier = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM) if main}

    def handle(number: int, frame: Any) -> None:
        loop.call_soon_threadsafe(stop)
        if callable(handler := earlier[signal.Signals(number)]):
            handler(number, frame)

    for number in earlier:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
