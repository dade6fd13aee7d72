"""Signing in to a workspace, and what its refusals mean in one line."""

import configparser
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config
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
    """Turn what the SDK raises into a WorkspaceError of one line with what mends it."""
    try:
        yield
    except DatabricksError as error:
        raise WorkspaceError(_explanation(error)) from error
    except (requests.RequestException, TimeoutError, OperationFailed) as error:
        raise WorkspaceError(f"{host} can't be reached ({_line(error)}). Is it right?") from error


def _explanation(error: DatabricksError) -> str:
    if error.error_code in DISABLED:
        return "Lakebase is not enabled in this workspace. Ask an administrator to enable it."
    match error:
        case Unauthenticated():
            return f"not signed in ({_line(error)}). Run: databricks auth login"
        case PermissionDenied():
            return f"no permission ({_line(error)}). Ask for access, or use another --profile."
        case TooManyRequests():
            return "the workspace limits requests. Try again in a minute."
    return f"the workspace refuses: {_line(error)}"


def profiles() -> list[str]:
    """Return the names of the profiles in the configuration of the Databricks CLI."""
    path = os.environ.get("DATABRICKS_CONFIG_FILE") or "~/.databrickscfg"
    parser = configparser.ConfigParser(default_section="", interpolation=None)
    parser.read(Path(path).expanduser(), encoding="utf-8")
    return [name for name in parser.sections() if not name.startswith("__")]


def connect(profile: str) -> WorkspaceClient:
    """Return a client of the workspace, by a profile or by what the environment says.

    Raises WorkspaceError when nothing says how to sign in.
    """
    try:
        config = Config(profile=profile or None, retry_timeout_seconds=8, http_timeout_seconds=20)
        return WorkspaceClient(config=config)
    except ValueError as error:
        raise WorkspaceError(
            f"can't sign in ({_line(error)}). Run: databricks auth login --host "
            "https://<your workspace>, or choose another with --profile"
        ) from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
