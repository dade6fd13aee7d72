"""Errors as the workspace answers them, which databricks-sdk maps to its types."""

from collections.abc import Mapping

from starlette.responses import JSONResponse


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def to_response(self, headers: Mapping[str, str] | None = None) -> JSONResponse:
        """Return it in the shape that every API of the workspace uses."""
        body = {"error_code": self.code, "message": self.message}
        return JSONResponse(body, self.status, headers)


def not_found(what: str) -> ApiError:
    """Return the error that says that `what` is not there."""
    return ApiError(404, "NOT_FOUND", f"{what} does not exist.")
