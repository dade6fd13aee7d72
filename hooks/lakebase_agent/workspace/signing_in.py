"""Signing in to a workspace, and what its refusals mean in one line."""

import configparser
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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

from lakebase_agent.asking import Asker
from lakebase_agent.errors import WorkspaceError
from lakebase_agent.project.files import read_env, read_host

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


def profiles() -> dict[str, str]:
    """Return the hosts of the profiles in the configuration of the Databricks CLI, by name."""
    path = os.environ.get("DATABRICKS_CONFIG_FILE") or "~/.databrickscfg"
    parser = configparser.ConfigParser(default_section="", interpolation=None)
    parser.read(Path(path).expanduser(), encoding="utf-8")
    names = [name for name in parser.sections() if not name.startswith("__")]
    return {name: _to_host(parser[name].get("host", "")) for name in names}


def _to_host(text: str) -> str:
    """Return a host as the SDK spells it."""
    host = text.rstrip("/")
    return host if "://" in host or not host else f"https://{host}"


def pick_profile(
    folder: Path, target: str, given: str, answers: Mapping[str, Any], asker: Asker
) -> str:
    """Return the profile to sign in with; empty where the SDK finds the way itself.

    Without one given it is the one of the last `link`, or the only one of the target's workspace.
    """
    if known := given or _known_profile(folder, target) or str(answers.get("profile") or ""):
        return known
    names = profiles()
    asks = asker.interactive and len(names) > 1
    return asker.pick("profile", "--profile", "", list(names)) if asks else ""


def _known_profile(folder: Path, target: str) -> str:
    chosen = os.environ.get("DATABRICKS_CONFIG_PROFILE", "")
    if chosen or os.environ.get("DATABRICKS_HOST"):
        return chosen
    host, noted = read_host(folder, target), read_env(folder).get("DATABRICKS_CONFIG_PROFILE", "")
    here = [name for name, its_host in profiles().items() if host and its_host == host]
    return noted if noted in here else here[0] if len(here) == 1 else ""


def connect(profile: str) -> WorkspaceClient:
    """Return a client of the workspace, by a profile or by what the environment says.

    Raises WorkspaceError when nothing says how to sign in.
    """
    try:
        config = Config(profile=profile or None, retry_timeout_seconds=4, http_timeout_seconds=20)
        return WorkspaceClient(config=config)
    except ValueError as error:
        raise WorkspaceError(
            f"can't sign in ({_line(error)}). Run: databricks auth login --host "
            "https://<your workspace>, or choose another with --profile"
        ) from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
