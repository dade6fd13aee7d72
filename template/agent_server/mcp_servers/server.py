"""An MCP server as a turn sees it: whatever it does, it costs only its own calls."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
from pydantic import ValidationError

from agent_server.mcp_servers.names import absent_tool, failed_result
from agent_server.mcp_servers.session import Headers, McpAnswerError, McpError, McpSession
from agent_server.on_behalf import OVER, OnBehalfError
from agent_server.settings import limit

if TYPE_CHECKING:  # it takes long to import, and most agents have no servers
    from mcp.types import CallToolResult, Tool

log = logging.getLogger(__name__)

REFUSED = {401: OVER, 403: "You may not use it."}
IDENTITIES = 1000  # whose sessions and tools are kept
# Returns the name of an identity, and the headers of a request in its name.
SignIn = Callable[[], Awaitable[tuple[str, dict[str, str]]]]


@dataclass(eq=False)
class _Known:
    """What is known of the server as one identity sees it."""

    session: McpSession
    tools: "list[Tool] | None" = None
    asked_at: float = float("-inf")  # for its tools, as `time.monotonic()` has it
    asking: asyncio.Task[None] | None = None


class ToolServer:
    """The server at `url`, whose tools each identity sees as the server lets it."""

    def __init__(self, name: str, url: Callable[[], str], sign_in: SignIn, as_user: bool) -> None:
        self.name, self.as_user = name, as_user
        self.degraded = False  # it could not be reached when it was last tried
        self._url, self._sign_in = url, sign_in
        self._http: httpx.AsyncClient | None = None
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def list_tools(self, *_: object) -> "list[Tool]":
        """Return the tools that the identity of the moment may use; it raises nothing.

        They are asked for anew after MCP_TOOLS_SECONDS, without waiting. The first time, it waits
        for MCP_LIST_SECONDS; a server without an answer has one tool, which says so.
        """
        try:
            identity, headers = await self._sign_in()
            known = self._of(identity)
        except Exception as error:  # of signing in, whatever that takes; it costs no turn
            return [absent_tool(self.name, f"Not available: {self._say(error)}")]
        age = time.monotonic() - known.asked_at
        fresh = known.tools is not None and not self.degraded
        rest = limit("MCP_TOOLS_SECONDS" if fresh else "MCP_LIST_SECONDS")
        if not known.asking and age > rest:
            known.asked_at, age = time.monotonic(), 0
            known.asking = asyncio.create_task(self._ask_for_tools(known, headers))
        if known.asking and known.tools is None:
            await asyncio.wait([known.asking], timeout=max(0, limit("MCP_LIST_SECONDS") - age))
        if known.tools is None:
            return [absent_tool(self.name, f"Not available: {self.name} can't be reached now.")]
        return known.tools

    async def call_tool(self, name: str, arguments: object) -> "CallToolResult":
        """Return the result of a tool, or a sentence that says why there is none."""
        try:
            async with asyncio.timeout(limit("MCP_TIMEOUT_SECONDS")):
                identity, headers = await self._sign_in()
                session = self._of(identity).session
                result = await session.call_tool(name, arguments, headers)
        except Exception as error:  # a foreign server and what stands before it; the model is told
            return failed_result(self._say(error))
        self.degraded = False
        return result

    async def close(self) -> None:
        """Close its connections."""
        for known in self._known.values():
            if known.asking:
                known.asking.cancel()
        if self._http:
            await self._http.aclose()

    def _of(self, identity: str) -> _Known:
        if identity not in self._known:
            self._http = self._http or httpx.AsyncClient(timeout=limit("MCP_TIMEOUT_SECONDS"))
            self._known[identity] = _Known(McpSession(self._http, self._url()))
            if len(self._known) > IDENTITIES:
                self._known.popitem(last=False)
        self._known.move_to_end(identity)
        return self._known[identity]

    async def _ask_for_tools(self, known: _Known, headers: Headers) -> None:
        try:
            async with asyncio.timeout(limit("MCP_TIMEOUT_SECONDS")):
                known.tools = await known.session.list_tools(headers)
            self.degraded = False
        except Exception as error:  # as above; the tools known so far stay
            self._say(error)
        finally:
            known.asked_at, known.asking = time.monotonic(), None

    def _say(self, error: Exception) -> str:
        """Return what the model is told of a failure; the log has the rest."""
        if isinstance(error, OnBehalfError):
            return str(error)
        log.warning("MCP server %s: %s: %s", self.name, type(error).__name__, error)
        # What one user may not do says nothing of the server.
        mine = isinstance(error, httpx.HTTPStatusError) and self.as_user
        self.degraded = self.degraded if mine else not isinstance(error, McpError)
        match error:
            case McpError():
                return f"{self.name} says: {error}"
            case TimeoutError() | httpx.TimeoutException():
                return f"{self.name} did not answer within {limit('MCP_TIMEOUT_SECONDS')} seconds."
            case httpx.HTTPStatusError(response=response) if response.status_code in REFUSED:
                whom = REFUSED[response.status_code] if self.as_user else "The app may not use it."
                return f"{self.name} refuses (HTTP {response.status_code}). {whom}"
            case httpx.HTTPStatusError(response=response):
                return f"{self.name} failed (HTTP {response.status_code}). Try again later."
            case McpAnswerError() | ValidationError():
                return f"{self.name} gave an answer that can't be read."
        return f"{self.name} can't be reached now. Try again later."
