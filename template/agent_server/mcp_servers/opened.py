"""The MCP servers of a process: looked at when it starts, and while they can't be reached."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from agent_server.mcp_servers.names import Listed
from agent_server.settings import limit


@asynccontextmanager
async def open_tool_servers(servers: Sequence[Listed]) -> AsyncIterator[Sequence[Listed]]:
    """Yield the servers, and close them afterwards.

    Those that the app itself may use are asked for their tools, without waiting, and again every
    MCP_RETRY_SECONDS for as long as they can't be reached.
    """
    looking = [asyncio.create_task(_look(one)) for one in servers if not one.as_user]
    try:
        yield servers
    finally:
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)
        await asyncio.gather(*(server.close() for server in servers))


def degraded(servers: Sequence[Listed]) -> list[str]:
    """Return the names of the servers that can't be reached."""
    return [server.name for server in servers if server.degraded]


async def _look(server: Listed) -> None:
    await server.list_tools()
    while True:
        await asyncio.sleep(limit("MCP_RETRY_SECONDS"))
        if server.degraded:
            await server.list_tools()
