"""Builds the agent beside the running server, which answers /health from the first moment."""

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request

from agent_server.errors import ApiError, to_api_error

if TYPE_CHECKING:
    from agent_server.turns import Turns

log = logging.getLogger(__name__)
RETRY_SECONDS, PATIENCE_SECONDS = 3, 30  # the latter as long as nothing has failed


@asynccontextmanager
async def open_startup(app: FastAPI) -> AsyncIterator[None]:
    """Build the agent, and keep it open for as long as the server runs (the app's lifespan)."""
    app.state.reason, app.state.patience = "The agent is starting.", PATIENCE_SECONDS
    async with AsyncExitStack() as stack:
        app.state.turns = asyncio.create_task(_build(stack, app.state))
        yield
        app.state.turns.cancel()
        await asyncio.gather(app.state.turns, return_exceptions=True)


async def running_turns(request: Request, patience: float = PATIENCE_SECONDS) -> "Turns":
    """Return what runs turns, waiting up to `patience` seconds; else raise a 503 ApiError."""
    state = request.app.state
    try:
        patience = min(patience, state.patience)
        turns: Turns = await asyncio.wait_for(asyncio.shield(state.turns), patience)
    except TimeoutError:
        raise ApiError(503, "not_ready", state.reason, retry_after=RETRY_SECONDS) from None
    return turns


async def _build(stack: AsyncExitStack, state: Any) -> "Turns":
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
            if reason != state.reason:  # once, not at every try
                log.warning("not ready, trying again until it is", exc_info=error)
            state.reason, state.patience = reason, RETRY_SECONDS
        await asyncio.sleep(RETRY_SECONDS)
