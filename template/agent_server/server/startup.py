"""Builds the agent while the server is already running, and answering /health."""

import asyncio
import gc
import importlib
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI, Request

from agent_server.errors import ApiError, to_api_error
from agent_server.server import watchdog
from agent_server.settings import limit
from agent_server.transport.stopping import Stopping, on_signal

if TYPE_CHECKING:  # it takes seconds to import
    from agent_server.server.runtime import Runtime

log = logging.getLogger(__name__)


class Startup:
    """The agent's startup: a task that returns the runtime, and why it has not done so yet."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.reason = "The agent is starting."
        self.failed = False
        self.runtime = asyncio.create_task(self._open_runtime(stack))

    async def _open_runtime(self, stack: AsyncExitStack) -> "Runtime":
        while True:
            try:
                # Off the event loop: the imports take seconds.
                name = "agent_server.server.runtime"
                module = await asyncio.to_thread(importlib.import_module, name)
                runtime: Runtime = await stack.enter_async_context(module.open_runtime())
                # Otherwise each full collection would hold the event loop to go through all that
                # was imported: for 0.2 seconds.
                gc.freeze()
                log.info("ready")
                return runtime
            # Whatever fails, the server stays up and says why it is not ready.
            except Exception as error:
                reason = to_api_error(error).detail
                if reason != self.reason:  # once, not at every try
                    log.warning("not ready, will keep trying", exc_info=error)
                self.reason, self.failed = reason, True
            await asyncio.sleep(limit("START_RETRY_SECONDS"))


@asynccontextmanager
async def open_startup(app: FastAPI) -> AsyncIterator[None]:
    """Build the agent, and keep it open for as long as the server runs (the app's lifespan)."""
    stopping: Stopping = app.state.stopping
    with on_signal(stopping.begin):
        async with AsyncExitStack() as stack:
            if watchdog.wanted():
                stack.enter_context(watchdog.open_watchdog())
            startup = Startup(stack)
            app.state.startup = startup
            yield
            startup.runtime.cancel()
            await asyncio.gather(startup.runtime, return_exceptions=True)
            await stopping.ended()


async def opened_runtime(request: Request, wait: bool = True) -> "Runtime":
    """Return the app's runtime, waiting until it is open.

    Raises a 503 ApiError with the reason after START_WAIT_SECONDS, or after START_RETRY_SECONDS if
    a try to start has failed. Without `wait`, raises it at once.
    """
    startup: Startup = request.app.state.startup
    seconds = limit("START_RETRY_SECONDS" if startup.failed else "START_WAIT_SECONDS")
    try:
        async with asyncio.timeout(seconds if wait else 0):
            return await asyncio.shield(startup.runtime)
    except TimeoutError:
        raise ApiError(
            503, "not_ready", startup.reason, retry_after=limit("START_RETRY_SECONDS")
        ) from None


async def _opened(request: Request) -> "Runtime":
    return await opened_runtime(request)


OpenedRuntime = Annotated["Runtime", Depends(_opened)]
