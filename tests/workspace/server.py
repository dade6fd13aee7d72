"""The stand-in workspace as an HTTP server in a thread."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from tests.standin_mlflow import StandinMlflow
from tests.workspace.content import Content
from tests.workspace.errors import ApiError
from tests.workspace.identities import Identities
from tests.workspace.lakebase_api import LakebaseApi
from tests.workspace.serving import Serving
from tests.workspace.tracing_api import TracingApi
from tests.workspace.workspace_api import WorkspaceApi


def build_app(content: Content, identities: Identities, mlflow: StandinMlflow, url: str) -> FastAPI:
    """Return what answers every request that passes the gate."""
    app = FastAPI()
    app.include_router(LakebaseApi(content, identities).router)
    app.include_router(WorkspaceApi(content, identities, url).router)
    app.include_router(TracingApi(mlflow, url).router)
    app.mount("/serving-endpoints", Serving(content))
    app.exception_handler(ApiError)(_on_error)
    app.exception_handler(404)(_on_unknown)
    return app


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


async def _on_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.to_response()


async def _on_unknown(request: Request, _error: Exception) -> Response:
    text = f"No API found for '{request.method} {request.url.path}'"
    return ApiError(404, "ENDPOINT_NOT_FOUND", text).to_response()
