"""Errors as clients see them: a status, a code and one sentence."""

import sys
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from starlette.exceptions import HTTPException

from agent_server.settings import SettingsError

if TYPE_CHECKING:  # it takes long to import
    import openai
    import psycopg

# What the app's database reports: its SQLSTATE, or the class that its first two characters name; a
# code; what happened, and what to do.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
GRANT = "uv run python scripts/grant_lakebase_permissions.py"
AWAY = ("database_unavailable", "The database is not reachable. Try again.")
BUSY = ("database_busy", "All connections to the database are in use. Try again.")
LATE = (AWAY[0], "No connection in time: the database is away, or all are in use. Try again.")
REFUSED = (
    "database_permission", f"permission denied for table or schema of this app. Run: {GRANT}"
)  # fmt: skip
STATES = {
    "08": AWAY,
    "25006": ("database_read_only", "The database is read-only. Make it writable, and try again."),
    "25P03": ("database_slow", "A transaction was idle for too long. Try again."),
    "28": ("database_refused", "The database does not let this app in. Run: lakebase-agent doctor"),
    "3F": ("database_schema", "The schema of this app is missing. Restart the app to create it."),
    "40": ("database_conflict", "Another transaction was in the way. Try again."),
    "42501": REFUSED,
    "42703": ("database_schema", "A column of this app is missing. Restore it, and try again."),
    "42P01": ("database_schema", "A table of this app is missing. Restore it, and try again."),
    "53100": ("database_full", "The database is full, and can't store anything. Make room in it."),
    "53200": ("database_busy", "The database has run out of memory. Try again."),
    "53300": ("database_busy", "The database takes no more connections. Lower POOL_CONNECTIONS."),
    "53": ("database_busy", "The database has reached a limit. Its own log has the reason."),
    "55P03": ("database_locked", "A table or row of it is locked. Try again."),
    "57014": ("database_slow", "The database took longer than STATEMENT_SECONDS. Try again."),
    "57": AWAY,
    "58": ("database_failed", "The database can't use its files. Its own log has the reason."),
}

FILES_REFUSED = "files_refused"
MOST_SECONDS = 3600  # that a client is told to wait


class ApiError(HTTPException):
    """An error that is safe to show: its text never repeats a dependency's message."""

    def __init__(self, status: int, code: str, text: str, retry_after: int = 0) -> None:
        super().__init__(status, text, {"Retry-After": str(retry_after)} if retry_after else None)
        self.code = code


class ModelError(Exception):
    """The model returned no usable answer."""


class ErrorDetail(BaseModel):
    """What went wrong: one sentence, the kind of error, and a code that programs can rely on."""

    message: str
    type: str
    code: str
    param: None


class ErrorBody(BaseModel):
    """The body of every response that reports an error, in the shape of the OpenAI API."""

    error: ErrorDetail


class AppDatabaseError(Exception):
    """The cause of an error that the app's own database raised, and not one that a tool uses."""


def bad_request(text: str) -> ApiError:
    """Return the 400 for a request that can't be run."""
    return ApiError(400, "invalid_request", text)


def filtered() -> ApiError:
    """Return the error for what a filter of the provider left nothing of."""
    return ApiError(400, "content_filtered", "The provider filtered this. Ask in other words.")


def no_such_approval() -> ApiError:
    """Return the 404 for an answer to what this user was not asked in this thread."""
    return ApiError(404, "no_such_approval", "Nothing in this thread waits for this approval.")


def context_too_long() -> ApiError:
    """Return the error for a question that does not fit the model."""
    text = "This is too long for the model, even without the earlier messages. Send less at once."
    return ApiError(413, "context_too_long", text)


def tool_failed(name: str) -> ApiError:
    """Return the error for a tool that raised one."""
    return ApiError(500, "tool_failed", f"The tool {name} failed. The log has the reason.")


def output_too_large(text: str) -> ApiError:
    """Return the 502 for output of the model or a tool that is larger than a limit."""
    return ApiError(502, "output_too_large", text)


def files_refused() -> ApiError:
    """Return the 400 for images or files that the model does not take."""
    text = (
        "The model takes no images or files, or not these. Send text alone, or set MODEL_ENDPOINT"
    )
    return ApiError(400, FILES_REFUSED, f"{text} to a model that takes them.")


def to_body(error: HTTPException) -> dict[str, Any]:
    """Return the error in the shape of the OpenAI API."""
    kind = "invalid_request_error" if error.status_code < 429 else "server_error"
    code = getattr(error, "code", "http_error")
    return {"error": {"message": error.detail, "type": kind, "code": code, "param": None}}


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error, what caused it, what caused that, and so on."""
    while error:
        yield error
        error = error.__cause__ or error.__context__


def to_api_error(error: BaseException) -> ApiError:
    """Return `error` as a client may see it; the log has the details."""
    for cause in causes(error):
        if known := cause if isinstance(cause, ApiError) else _of_dependency(cause):
            return known
    return ApiError(500, "internal_error", "The agent failed. The log has the reason.")


def _of_dependency(error: BaseException) -> ApiError | None:
    # Imported late: the server answers /health before these are loaded.
    import httpx
    import openai
    import psycopg

    sdk = sys.modules.get("databricks.sdk.errors.base")  # offline, nothing imports it
    match error:
        case SettingsError():
            return ApiError(503, "misconfigured", str(error))
        case openai.RateLimitError():
            text = "The model is limiting requests."
            return ApiError(429, "model_rate_limited", text, _retry_after(error))
        case openai.NotFoundError():
            text = "There is no such model: see MODEL_ENDPOINT and EMBEDDING_ENDPOINT."
            return ApiError(502, "no_such_model", text)
        case openai.APIError() | ModelError() | httpx.TransportError():
            return ApiError(502, "model_failed", "The model failed to answer. Try again.")
        case _ if sdk and isinstance(error, sdk.DatabricksError):
            text = "The workspace refuses, or it has no such Lakebase. Run: lakebase-agent doctor"
            return ApiError(503, "workspace_unavailable", text, 5)
        case psycopg.Error():
            return _of_database(error)
    return None


def _retry_after(error: "openai.RateLimitError") -> int:
    """Return the seconds after which the model may be asked again."""
    said = error.response.headers.get("retry-after", "")
    try:  # a date, or seconds
        seconds = int(parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        seconds = int(said) if said.isascii() and said.isdecimal() else 5
    return min(max(seconds, 1), MOST_SECONDS)


def _of_database(error: "psycopg.Error") -> ApiError | None:
    import psycopg
    from psycopg_pool import PoolTimeout, TooManyRequests

    state = error.sqlstate or ""
    if isinstance(error.__cause__, AppDatabaseError) and state:
        if known := STATES.get(state) or STATES.get(state[:2]):
            return ApiError(503, *known, retry_after=2)
        text = f"The database refused a statement (SQLSTATE {state}). The log has the reason."
        return ApiError(500, "database_error", text)
    match error:
        case TooManyRequests():
            return ApiError(503, *BUSY, retry_after=2)
        case PoolTimeout():
            return ApiError(503, *LATE, retry_after=2)
        case psycopg.errors.InsufficientPrivilege():
            return ApiError(503, *REFUSED, retry_after=2)
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return ApiError(503, *AWAY, retry_after=2)
    return None
