"""Sends an export as it is read, for no longer than its reader stays."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from agent_server.settings import limit


class Export(StreamingResponse):
    """A JSON file in pieces, which its reader must have received after EXPORT_SECONDS.

    When anything fails, the connection breaks: part of a file never looks like the whole.
    """

    def __init__(self, pieces: AsyncGenerator[bytes, None]) -> None:
        super().__init__(pieces, media_type="application/json")
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces; raises TimeoutError when that takes too long."""
        # A task of its own: cancelled once, it gives back its connection. Starlette would cancel it
        # again while it does so.
        sending = asyncio.create_task(self._send(send))
        left = asyncio.create_task(_left(receive))
        try:
            async with asyncio.timeout(limit("EXPORT_SECONDS")):
                await asyncio.wait([sending, left], return_when=asyncio.FIRST_COMPLETED)
        finally:
            left.cancel()
            if not sending.done():
                sending.cancel()
            await asyncio.wait([sending])
        if not sending.cancelled():
            await sending

    async def _send(self, send: Send) -> None:
        async with aclosing(self._pieces):
            await self.stream_response(send)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
