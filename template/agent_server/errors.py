"""Errors as clients see them: a status, a code and one sentence."""

from typing import Any

from starlette.exceptions import HTTPException

from agent_server.settings import SettingsError


class ApiError(HTTPException):
    """An error that is safe to show: its text never repeats a dependency's message."""

    def __init__(self, status: int, code: str, text: str, retry_after: int = 0) -> None:
        super().__init__(status, text, {"Retry-After": str(retry_after)} if retry_after else None)
        self.code = code


class ModelError(Exception):
    """The model returned no usable answer."""


def bad_request(text: str) -> ApiError:
    """Return the 400 for a request that can't be run."""
    return ApiError(400, "invalid_request", text)


def output_too_large(text: str) -> ApiError:
    """Return the 502 for output of the model or a tool that is larger than a limit."""
    return ApiError(502, "output_too_large", text)


def to_body(error: HTTPException) -> dict[str, Any]:
    """Return the error in the shape of the OpenAI API."""
    kind = "invalid_request_error" if error.status_code < 429 else "server_error"
    code = getattr(error, "code", "http_error")
    return {"error": {"message": error.detail, "type": kind, "code": code, "param": None}}


def to_api_error(error: BaseException) -> ApiError:
    """Return `error` as a client may see it; the log has the details."""
    if isinstance(error, ApiError):
        return error
    if known := _of_dependency(error):
        return known
    if cause := error.__cause__ or error.__context__:
        return to_api_error(cause)
    return ApiError(500, "internal_error", "The agent failed. The log has the reason.")


def _of_dependency(error: BaseException) -> ApiError | None:
    # Imported late: the server answers /health before these are loaded.
    import httpx
    import openai
    import psycopg
    from databricks.sdk.errors.base import DatabricksError

    match error:
        case SettingsError():
            return ApiError(503, "misconfigured", str(error))
        case openai.RateLimitError():
            return ApiError(429, "model_rate_limited", "The model is limiting requests.", 5)
        case openai.NotFoundError():
            text = "There is no such model: see MODEL_ENDPOINT and EMBEDDING_ENDPOINT."
            return ApiError(502, "no_such_model", text)
        case openai.APIError() | ModelError() | httpx.TransportError():
            return ApiError(502, "model_failed", "The model failed to answer. Try again.")
        case DatabricksError():
            text = "The workspace refuses, or it has no such Lakebase. Run: lakebase-agent doctor"
            return ApiError(503, "workspace_unavailable", text, 5)
        case psycopg.errors.InsufficientPrivilege():
            command = "uv run python scripts/grant_lakebase_permissions.py"
            text = f"permission denied for table or schema of this app. Run: {command}"
            return ApiError(503, "database_permission", text)
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return ApiError(503, "database_unavailable", "The database is not reachable.", 2)
    return None
