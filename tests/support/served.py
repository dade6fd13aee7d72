"""An ASGI app as a real HTTP server, in a thread of the tests."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp, Receive, Send


@contextmanager
def served(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    """Serve an app while the body runs."""
    # What is still delayed at the end has nobody to wait for it.
    config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=0)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


async def reset(receive: Receive, send: Send) -> None:
    """Reset the connection of a request, without an answer."""
    # ASGI has no word for it: behind `send` is uvicorn's connection.
    transport = cast(Any, send).__self__.transport
    at_once = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
