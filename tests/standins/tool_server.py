"""A real MCP server over streamable HTTP, whose manners a test chooses."""

import asyncio
import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mcp.server.fastmcp import Context, FastMCP
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support.served import served


@dataclass
class StandinToolServer:
    """What the server does with the next requests, and what it was asked."""

    port: int = 0
    status: int = 200
    delay: float = 0.0
    requests: list[str] = field(default_factory=list)  # the tokens that they carried
    refuses: set[str] = field(default_factory=set)  # tokens that it does not take

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/mcp"

    def reset(self) -> None:
        """Behave as at first."""
        self.__dict__.update(StandinToolServer(self.port).__dict__)


class Manners:
    """Stands before the server."""

    def __init__(self, app: ASGIApp, standin: StandinToolServer) -> None:
        self._app, self._standin = app, standin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, late or not at all."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        standin = self._standin
        token = Request(scope).headers.get("authorization", "").removeprefix("Bearer ")
        standin.requests.append(token)
        await asyncio.sleep(standin.delay)
        status = 401 if token in standin.refuses else standin.status
        if status != 200:
            return await answer(status)(scope, receive, send)
        await self._app(scope, receive, send)


def sign(token: str) -> str:
    """Return what tells a token apart without saying it."""
    return hashlib.sha256(token.encode()).hexdigest()[:12] if token else "nobody"


def answer(status: int) -> Response:
    """Return an answer that is no message of the protocol."""
    return PlainTextResponse("No.", status)


def build_tool_server(name: str) -> FastMCP:
    """Return a server with tools that a test can tell apart."""
    # It would refuse hosts with another port than its own.
    any_host = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    server = FastMCP(name, transport_security=any_host)

    @server.tool()
    async def caller(context: Context) -> str:  # type: ignore[type-arg]
        """Say whose token the request carried."""
        headers = context.request_context.request.headers  # type: ignore[union-attr]
        token = headers.get("authorization", "").removeprefix("Bearer ")
        return f"{name} was called by {sign(token)}"

    @server.tool()
    async def fail() -> str:
        """Fail."""
        raise ValueError("the shelf is empty")

    @server.tool(name="get_current_time")
    async def time_of_day() -> str:
        """Say what time it is there."""
        return f"{name} says noon"

    @server.tool()
    async def wait(seconds: float) -> str:
        """Answer late."""
        await asyncio.sleep(seconds)
        return f"{name} waited"

    @server.tool()
    async def dawdle(seconds: float, context: Context) -> str:  # type: ignore[type-arg]
        """Answer late, and say so again and again until then."""
        for _ in range(int(seconds * 4)):
            await context.info("still at it")
            await asyncio.sleep(0.25)
        return f"{name} dawdled"

    return server


@contextmanager
def open_tool_server(
    name: str = "docs", port: int = 0, standin: StandinToolServer | None = None
) -> Iterator[StandinToolServer]:
    """Yield a running server; with the port of one that was stopped, that one starts again."""
    listener = socket.create_server(("127.0.0.1", port))
    standin = standin or StandinToolServer()
    standin.port = listener.getsockname()[1]
    with served(Manners(build_tool_server(name).streamable_http_app(), standin), listener):
        yield standin
