"""Builds the agent beside the running server, which answers /health from the first moment."""

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, FastAPI, Request

from agent_server.errors import ApiError, to_api_error

if TYPE_CHECKING:
    from agent_server.turns import Turns

log = logging.getLogger(__name__)
RETRY_SECONDS, PATIENCE_SECONDS = 3, 30


class Startup:
    """What runs turns, once it is built, and until then the reason why it is not."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.reason = "The agent is starting."
        self.task = asyncio.create_task(self._build(stack))

    async def turns(self, patience: float = PATIENCE_SECONDS) -> "Turns":
        """Return what runs turns, waiting up to `patience` seconds; else raise a 503 ApiError."""
        try:
            return await asyncio.wait_for(asyncio.shield(self.task), patience)
        except TimeoutError:
            raise ApiError(503, "not_ready", self.reason, retry_after=RETRY_SECONDS) from None

    async def _build(self, stack: AsyncExitStack) -> "Turns":
        while True:
            try:
                # Off the event loop: the imports take seconds.
                module = await asyncio.to_thread(importlib.import_module, "agent_server.runtime")
                turns: Turns = await stack.enter_async_context(module.open_turns())
                log.info("ready")
                return turns
            # The edge of the process: the server goes on, says that it is not ready, and why.
            except Exception as error:
                reason = to_api_error(error).detail
                if reason != self.reason:
                    log.warning("not ready, trying again until it is", exc_info=error)
                self.reason = reason
            await asyncio.sleep(RETRY_SECONDS)


@asynccontextmanager
async def open_startup(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Build the agent, and keep it open for as long as the server runs (the app's lifespan)."""
    async with AsyncExitStack() as stack:
        startup = Startup(stack)
        yield {"startup": startup}
        startup.task.cancel()
        await asyncio.gather(startup.task, return_exceptions=True)


def current_startup(request: Request) -> Startup:
    """Return the startup of the app that serves `request`."""
    return request.state.startup  # type: ignore[no-any-return]


CurrentStartup = Annotated[Startup, Depends(current_startup)]
