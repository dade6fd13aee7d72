"""What a client may know of a failure: a status, a code and one sentence."""

from collections.abc import Iterator
from typing import Any


class ApiError(Exception):
    """A failure that is safe to show: its text never holds what a dependency said."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = {"Retry-After": str(retry_after)} if retry_after else {}

    def body(self) -> dict[str, Any]:
        """Return the error in the shape of the OpenAI API."""
        kind = "invalid_request_error" if self.status < 429 else "server_error"
        error = {"message": self.message, "type": kind, "code": self.code, "param": None}
        return {"error": error}


def bad_request(message: str) -> ApiError:
    """Return the 400 for a request that asks for something malformed."""
    return ApiError(400, "invalid_request", message)


def to_api_error(error: BaseException) -> ApiError:
    """Return what a client may know of `error`; the log has the rest."""
    # Here, because a server answers /health before these are imported.
    import openai
    import psycopg

    for cause in _causes(error):
        match cause:
            case ApiError():
                return cause
            case openai.RateLimitError():
                text = "The model is limiting requests. Try again in a moment."
                return ApiError(429, "model_rate_limited", text, retry_after=5)
            case openai.APIError():
                return ApiError(502, "model_failed", "The model failed to answer. Try again.")
            case psycopg.OperationalError() | psycopg.InterfaceError():
                text = "The database is not reachable right now. Try again in a moment."
                return ApiError(503, "database_unavailable", text, retry_after=2)
    return ApiError(500, "internal_error", "The agent failed. The log has the reason.")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
