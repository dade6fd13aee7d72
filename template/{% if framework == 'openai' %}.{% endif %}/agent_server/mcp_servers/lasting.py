"""Keeps the SDK's own MCP servers in use: one that is away or restarts costs only its own calls."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from agents.mcp import MCPServer
from mcp.shared.exceptions import McpError
from mcp.types import CallToolResult, Tool

from agent_server.mcp_servers.names import absent_tool, failed_result
from agent_server.settings import limit

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class LastingServer:
    """A server of the SDK that is connected to when it is needed, and again when that breaks."""

    as_user = False

    def __init__(self, server: MCPServer) -> None:
        self.name, self.degraded = server.name, False
        self._server = server
        self._tools: list[Tool] | None = None
        self._broken = asyncio.Event()
        self._open: asyncio.Future[None] | None = None
        self._holder: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Disconnect."""
        self._broken.set()
        if self._holder:
            await asyncio.wait([self._holder], timeout=limit("MCP_LIST_SECONDS"))
            self._holder.cancel()

    async def list_tools(self, *place: Any) -> list[Tool]:
        """Return its tools for a run and an agent; raises nothing.

        While it is away, these are the last known ones, or one that says so.
        """
        try:
            self._tools = await self._use(lambda: self._server.list_tools(*place), 1)
        except Exception as error:  # a foreign server; it costs no turn
            said = self._say(error)
            return [absent_tool(self.name, said)] if self._tools is None else self._tools
        return self._tools

    async def call_tool(self, name: str, arguments: dict[str, Any] | None) -> CallToolResult:
        """Return the result of a tool, or a sentence that says why there is none."""
        try:
            return await self._use(lambda: self._server.call_tool(name, arguments), 0)
        except Exception as error:  # a foreign server; the model is told
            return failed_result(self._say(error))

    async def _use(self, work: Callable[[], Awaitable[Result]], tries: int) -> Result:
        seconds = limit("MCP_LIST_SECONDS" if tries else "MCP_TIMEOUT_SECONDS")
        try:
            async with asyncio.timeout(seconds):
                await self._connected()
                result = await work()
        except McpError:  # it answered
            raise
        except Exception:
            self._broken.set()
            if not tries:
                raise
            return await self._use(work, tries - 1)
        self.degraded = False
        return result

    async def _connected(self) -> None:
        if self._open is None or self._broken.is_set():
            self._broken = asyncio.Event()
            self._open = asyncio.get_running_loop().create_future()
            # A task of its own: a connection must be closed by the task that opened it.
            self._holder = asyncio.create_task(self._hold(self._open, self._broken))
        await asyncio.shield(self._open)

    async def _hold(self, opened: asyncio.Future[None], broken: asyncio.Event) -> None:
        try:
            await self._server.connect()  # type: ignore[no-untyped-call]
            opened.set_result(None)
            await broken.wait()
        except Exception as error:  # whoever waits for the connection is told
            broken.set()
            if opened.done():
                log.warning("MCP server %s: %r", self.name, error)
            else:
                opened.set_exception(error)
        finally:
            await self._server.cleanup()  # type: ignore[no-untyped-call]

    def _say(self, error: Exception) -> str:
        log.warning("MCP server %s: %s: %s", self.name, type(error).__name__, error)
        self.degraded = not isinstance(error, McpError)
        if isinstance(error, McpError):
            return f"{self.name} says: {error}"
        if isinstance(error, TimeoutError):
            return f"{self.name} did not answer in time."
        return f"{self.name} can't be reached now. Try again later."
