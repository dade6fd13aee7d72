"""Reads the body of a request before the app runs: within a time, and within bounds of memory."""

import asyncio
from collections import Counter

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_server.errors import ApiError
from agent_server.identity import IDENTITY_HEADERS
from agent_server.settings import limit
from agent_server.transport.refusal import refuse

# What a request takes while its body arrives, however little of it has arrived.
LEAST_BYTES = 16384


class Bodies:
    """ASGI middleware that reads bodies; it counts the bytes of those that are still arriving."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._held: Counter[str] = Counter()  # bytes, by user

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the app answer once the body is there; refuse one that is too large or too late."""
        if scope["type"] != "http" or not _has_body(headers := Headers(scope=scope)):
            return await self.app(scope, receive, send)
        try:
            body = await self._read(headers, receive)
        except ClientDisconnect:
            return None
        except ApiError as refusal:
            return await refuse(refusal, scope, receive, send)
        await self.app(scope, _replay(body, receive), send)

    async def _read(self, headers: Headers, receive: Receive) -> bytes:
        most = limit("MAX_REQUEST_BYTES")
        if int(headers.get("content-length", 0)) > most:
            raise _too_large(most)
        user = next(filter(None, map(headers.get, IDENTITY_HEADERS)), "")
        body, held = bytearray(), 0
        try:
            async with asyncio.timeout(limit("BODY_SECONDS")):
                more = True
                while more:
                    held += self._hold(user, max(LEAST_BYTES, len(body)) - held)
                    message = await _receive(receive)
                    body += message.get("body", b"")
                    if len(body) > most:
                        raise _too_large(most)
                    more = message.get("more_body", False)
        except TimeoutError:
            text = f"The body did not arrive within {limit('BODY_SECONDS')} seconds."
            raise ApiError(408, "body_too_slow", text) from None
        finally:
            self._held[user] -= held
            self._held += Counter()  # without the users who hold nothing
        return bytes(body)

    def _hold(self, user: str, size: int) -> int:
        """Count `size` bytes more; raises an ApiError when that is above a limit."""
        whole = limit("MAX_REQUEST_BYTES")  # one body must fit, whatever the limits are
        if size and self._held[user] + size > max(limit("BODY_BYTES_PER_USER"), whole):
            text = "Too many of your requests are still being sent. Finish some of them first."
            raise ApiError(429, "too_many_bodies", text, retry_after=1)
        if size and self._held.total() + size > max(limit("BODY_BYTES_PER_PROCESS"), whole):
            text = "Too many requests are still being sent to this server. Try again."
            raise ApiError(503, "too_many_bodies", text, retry_after=1)
        self._held[user] += size
        return size


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _too_large(most: int) -> ApiError:
    return ApiError(413, "body_too_large", f"A body may have at most {most} bytes.")


async def _receive(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return what first receives a body that has been read, and then what `receive` does."""
    left = [body]  # dropped once it is taken: the app may run for long

    async def receive_body() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return receive_body
