"""Builds the runtime beside the running server, which answers /health from the first moment."""

import asyncio
import importlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI, Request

from agent_server.errors import ApiError, to_api_error
from agent_server.responses import Event
from agent_server.settings import SettingsError

if TYPE_CHECKING:
    from agent_server.runtime import Runtime

log = logging.getLogger(__name__)
RETRY_SECONDS, PATIENCE_SECONDS = 3, 30


class Startup:
    """The runtime once it is built, and until then the reason why it is not."""

    def __init__(self) -> None:
        self.reason = "The agent is starting."
        self._runtime: asyncio.Future[Runtime] = asyncio.get_running_loop().create_future()

    async def runtime(self, patience: float = PATIENCE_SECONDS) -> "Runtime":
        """Return the runtime, waiting up to `patience` seconds; else raise a 503 ApiError."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._runtime), patience)
        except TimeoutError:
            raise ApiError(503, "not_ready", self.reason, retry_after=RETRY_SECONDS) from None

    async def run(self) -> None:
        """Build the runtime, again until it works, and keep it open until cancelled."""
        while True:
            try:
                # Off the event loop: the imports take seconds.
                module = await asyncio.to_thread(importlib.import_module, "agent_server.runtime")
                async with module.open_runtime() as runtime:
                    log.info("ready")
                    self._runtime.set_result(runtime)
                    await asyncio.Event().wait()
            except SettingsError as error:
                log.error("not starting: %s", error)
                self.reason = str(error)
                return
            # The edge of the process: the server goes on, says that it is not ready, and why.
            except Exception as error:
                log.warning("not ready, trying again in %s s", RETRY_SECONDS, exc_info=error)
                self.reason = to_api_error(error).detail
            await asyncio.sleep(RETRY_SECONDS)


@asynccontextmanager
async def open_startup(app: FastAPI) -> AsyncIterator[None]:
    """Run the startup for as long as the server runs (the lifespan of the app)."""
    app.state.startup = Startup()
    building = asyncio.create_task(app.state.startup.run())
    try:
        yield
    finally:
        building.cancel()
        await asyncio.gather(building, return_exceptions=True)


def current_startup(request: Request) -> Startup:
    """Return the startup of the app that serves `request`."""
    startup: Startup = request.app.state.startup
    return startup


CurrentStartup = Annotated[Startup, Depends(current_startup)]


async def detached(events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
    """Yield `events`, produced by one task from the first to the last.

    A server may read the first event in one task and the rest in another; leases, traces and
    time limits must not see that. A reader who leaves cancels the turn.
    """
    queue: asyncio.Queue[Event | None] = asyncio.Queue()
    producer = asyncio.create_task(_produce(events, queue))
    try:
        while (event := await queue.get()) is not None:
            yield event
        await asyncio.wait([producer])
        if producer.cancelled():
            raise ApiError(503, "interrupted", "The turn was interrupted. Send it again.", 1)
        await producer
    finally:
        producer.cancel()
        await asyncio.gather(producer, return_exceptions=True)


async def _produce(events: AsyncGenerator[Event], queue: asyncio.Queue[Event | None]) -> None:
    try:
        async for event in events:
            queue.put_nowait(event)
    finally:
        queue.put_nowait(None)
