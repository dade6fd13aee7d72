"""One identity's session with an MCP server: each call is one request over HTTP.

The `mcp` package keeps the headers of a session, and so its token, for as long as it is open, and
must close it in the task that opened it. Here every request has headers of its own.
"""

import asyncio
import json
from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx

from agent_server.settings import limit

if TYPE_CHECKING:  # it takes long to import, and most agents have no servers
    from mcp.types import CallToolResult, Tool

SESSION = "mcp-session-id"
ACCEPT = {"Accept": "application/json, text/event-stream"}
# What servers answer to a session that they do not know, for example after a restart. The standard
# says 404: modelcontextprotocol.io, "Session Management"; some say 400.
UNKNOWN_SESSION = (400, 404)
Headers = Mapping[str, str]


class McpError(Exception):
    """The server answered with an error of the protocol; the text is the server's."""


class McpAnswerError(Exception):
    """The server answered with something that is not the protocol, or is too large."""


class McpSession:
    """A session with the server at `url`, opened at the first request and again when it is lost.

    Methods raise httpx.HTTPError, McpError and McpAnswerError.
    """

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http, self._url = http, url
        self._numbers = count(1)
        self._opening = asyncio.Lock()
        self._head: dict[str, str] | None = None  # once it is open

    async def list_tools(self, headers: Headers) -> "list[Tool]":
        """Return all tools, page after page."""
        from mcp.types import ListToolsResult

        tools: list[Tool] = []
        cursor: str | None = None
        while True:
            place = {"cursor": cursor} if cursor else {}
            page = ListToolsResult.model_validate(await self._ask("tools/list", place, headers))
            tools += page.tools
            if not (cursor := page.nextCursor) or not page.tools:
                return tools

    async def call_tool(self, name: str, arguments: Any, headers: Headers) -> "CallToolResult":
        """Return the result of a tool."""
        from mcp.types import CallToolResult

        asked = {"name": name, "arguments": arguments or {}}
        return CallToolResult.model_validate(await self._ask("tools/call", asked, headers))

    async def _ask(self, method: str, params: dict[str, Any], headers: Headers) -> Any:
        for last in (False, True):
            head = await self._open(headers)
            try:
                return (await self._send(method, params, {**headers, **head}))[0]
            except httpx.HTTPStatusError as error:
                if last or error.response.status_code not in UNKNOWN_SESSION:
                    raise
                self._forget(head)
        raise AssertionError  # the second try returns or raises

    async def _open(self, headers: Headers) -> dict[str, str]:
        from mcp.types import LATEST_PROTOCOL_VERSION

        async with self._opening:
            if self._head is None:
                client = {"name": "lakebase-agent", "version": "1"}
                version = {"protocolVersion": LATEST_PROTOCOL_VERSION}
                params = {**version, "capabilities": {}, "clientInfo": client}
                result, response = await self._send("initialize", params, headers)
                head = {"mcp-protocol-version": str(result.get("protocolVersion", ""))}
                if session := response.headers.get(SESSION):
                    head[SESSION] = session
                await self._notify("notifications/initialized", {**headers, **head})
                self._head = head
            return self._head

    def _forget(self, head: dict[str, str]) -> None:
        if self._head is head:  # another request may have opened a new one
            self._head = None

    async def _notify(self, method: str, headers: Headers) -> None:
        body = {"jsonrpc": "2.0", "method": method}
        answer = await self._http.post(self._url, json=body, headers={**ACCEPT, **headers})
        answer.raise_for_status()

    async def _send(
        self, method: str, params: dict[str, Any], headers: Headers
    ) -> tuple[Any, httpx.Response]:
        number = next(self._numbers)
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        sent = {"json": body, "headers": {**ACCEPT, **headers}}
        async with self._http.stream("POST", self._url, **sent) as response:  # type: ignore[arg-type]
            response.raise_for_status()
            answer = await _answer_to(number, response)
        if "error" in answer:
            raise McpError(str((answer["error"] or {}).get("message", "no reason")))
        return answer.get("result"), response


async def _answer_to(number: int, response: httpx.Response) -> dict[str, Any]:
    """Return the message that answers request `number`, from a JSON body or a stream of events."""
    streams = response.headers.get("content-type", "").startswith("text/event-stream")
    held, most = b"", limit("OUTPUT_BYTES")
    async for piece in response.aiter_bytes():
        held += piece.replace(b"\r", b"")
        if len(held) > most:
            raise McpAnswerError(f"more than {most} bytes")
        while streams and b"\n\n" in held:
            event, _, held = held.partition(b"\n\n")
            data = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
            if (message := _parsed(b"\n".join(data), number)) is not None:
                return message
    if streams or (message := _parsed(held, number)) is None:
        raise McpAnswerError("an answer to something else")
    return message


def _parsed(text: bytes, number: int) -> dict[str, Any] | None:
    """Return the message if it answers request `number`; there may be others before it."""
    if not text:
        return None
    try:
        message = json.loads(text)
    except ValueError as error:
        raise McpAnswerError("an answer that is not JSON") from error
    answers = isinstance(message, dict) and message.get("id") == number
    return message if answers and ("result" in message or "error" in message) else None
