"""Refuses a request before the app sees it."""

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from agent_server.errors import ApiError, to_body


async def refuse(refusal: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    """Send the refusal and close the connection, on which a body may still be arriving."""
    headers = {**(refusal.headers or {}), "Connection": "close"}
    await JSONResponse(to_body(refusal), refusal.status_code, headers)(scope, receive, send)
