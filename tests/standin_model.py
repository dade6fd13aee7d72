"""A model server whose failures a test chooses: the template's own, with faults in front."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.middleware.base import RequestResponseEndpoint
from starlette.responses import Response

from local.model import build_model_app
from tests.served import served

SECRET = "the model said something secret"


@dataclass
class StandinModel:
    """What the server does with the next requests, and what it was asked."""

    url: str = ""
    status: int = 200
    delay: float = 0.0
    running: int = 0
    left: int = -1  # requests until it fails; below zero, it does not
    requests: list[bytes] = field(default_factory=list)

    def fail_after(self, requests: int) -> None:
        """Answer so many requests more, and fail from then on."""
        self.left = requests

    async def __call__(self, request: Request, answer: RequestResponseEndpoint) -> Response:
        """Answer, late or not at all."""
        self.requests.append(await request.body())
        self.running += 1
        try:
            await asyncio.sleep(self.delay)
            self.left -= 1
            if self.left == -1:
                self.status = 500
            if self.status != 200:
                return JSONResponse({"error": {"message": SECRET}}, self.status)
            return await answer(request)
        finally:
            self.running -= 1


@contextmanager
def open_standin_model() -> Iterator[StandinModel]:
    """Yield a running model server."""
    listener = socket.create_server(("127.0.0.1", 0))
    model = StandinModel(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
    app = build_model_app()
    app.middleware("http")(model)
    with served(app, listener):
        yield model
