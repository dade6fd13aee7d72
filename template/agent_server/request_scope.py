"""What surrounds every HTTP request: its id, its log line, and the limit on its body."""

import logging
import re
import time
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_server.logs import request_id

MAX_BODY_BYTES = 4 * 1024 * 1024
PROBES = ("/health", "/ready")

log = logging.getLogger(__name__)


class RequestScope:
    """ASGI middleware; pure, so that streams pass through it untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name, started = _id_of(Headers(scope=scope)), time.monotonic()
        request_id.set(name)
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = name
            await send(message)

        try:
            await self._app(scope, _limited(receive), send_with_id)
        finally:
            took = (time.monotonic() - started) * 1000
            level = logging.DEBUG if scope["path"] in PROBES else logging.INFO
            log.log(level, "%s %s -> %s in %.0f ms", scope["method"], scope["path"], status, took)


def _id_of(headers: Headers) -> str:
    sent = headers.get("x-request-id", "")
    return sent if re.fullmatch(r"[\w.-]{1,128}", sent, re.ASCII) else uuid4().hex


def _limited(receive: Receive) -> Receive:
    size = 0

    async def receive_limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            limit = f"The request is larger than {MAX_BODY_BYTES // 2**20} MiB."
            raise HTTPException(413, limit)
        return message

    return receive_limited
