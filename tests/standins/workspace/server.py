"""The stand-in workspace as one app."""

from fastapi import FastAPI, Request
from starlette.responses import Response

from tests.standins.mlflow import StandinMlflow
from tests.standins.workspace.content import Content
from tests.standins.workspace.data_api import DataApi
from tests.standins.workspace.errors import ApiError
from tests.standins.workspace.identities import Identities
from tests.standins.workspace.lakebase_api import LakebaseApi
from tests.standins.workspace.serving import Serving
from tests.standins.workspace.settings_api import build_settings_api
from tests.standins.workspace.tools_api import build_tools_api
from tests.standins.workspace.tracing_api import TracingApi
from tests.standins.workspace.workspace_api import WorkspaceApi


def build_app(content: Content, identities: Identities, mlflow: StandinMlflow, url: str) -> FastAPI:
    """Return what answers every request that passes the gate."""
    app = FastAPI()
    app.include_router(LakebaseApi(content, identities).router)
    app.include_router(WorkspaceApi(content, identities, url).router)
    app.include_router(DataApi().router)
    app.include_router(build_settings_api(content))
    app.include_router(build_tools_api())
    app.include_router(TracingApi(mlflow, url).router)
    app.mount("/serving-endpoints", Serving(content))
    app.exception_handler(ApiError)(_on_error)
    app.exception_handler(404)(_on_unknown)
    return app


async def _on_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.to_response()


async def _on_unknown(request: Request, _error: Exception) -> Response:
    text = f"No API found for '{request.method} {request.url.path}'"
    return ApiError(404, "ENDPOINT_NOT_FOUND", text).to_response()
