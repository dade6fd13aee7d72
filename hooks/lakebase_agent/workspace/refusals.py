"""What a workspace's errors mean, and how to fix them, in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from databricks.sdk.errors import (
    OperationFailed,
    PermissionDenied,
    TooManyRequests,
    Unauthenticated,
)
from databricks.sdk.errors.base import DatabricksError

from lakebase_agent.errors import WorkspaceError

DISABLED = ("FEATURE_DISABLED", "NOT_IMPLEMENTED")


@contextmanager
def errors_explained(host: str) -> Iterator[None]:
    """Turn what the SDK raises into a WorkspaceError of one line that says how to fix it."""
    try:
        yield
    except DatabricksError as error:
        raise WorkspaceError(_explanation(error)) from error
    except (requests.RequestException, TimeoutError, OperationFailed) as error:
        if isinstance(error.__cause__, DatabricksError):  # it was tried again until time was up
            raise WorkspaceError(_explanation(error.__cause__)) from error
        text = f"{host} can't be reached ({in_one_line(error)}). Is the address right?"
        raise WorkspaceError(text) from error


def _explanation(error: DatabricksError) -> str:
    if error.error_code in DISABLED:
        return f"{in_one_line(error).rstrip('.')}. Ask an administrator to enable it."
    reason = in_one_line(error)
    match error:
        case Unauthenticated():
            return f"not signed in ({reason}). Run: databricks auth login"
        case PermissionDenied():
            return f"no permission ({reason}). Ask for access, or use another --profile."
        case TooManyRequests():
            return "the workspace limits requests. Try again in a minute."
    return f"the workspace refused: {reason}"


def in_one_line(error: BaseException) -> str:
    """Return the text of an error in one line of at most 200 characters."""
    return " ".join(str(error).split())[:200]
