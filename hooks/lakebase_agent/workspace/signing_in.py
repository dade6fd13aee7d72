"""Signing in to a workspace: the profiles of the Databricks CLI, and which one to use."""

import configparser
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config

from lakebase_agent.errors import WorkspaceError
from lakebase_agent.project.bundle import read_host
from lakebase_agent.project.env_file import read_env
from lakebase_agent.terminal import Asker
from lakebase_agent.workspace.refusals import in_one_line


def profiles() -> dict[str, str]:
    """Return the workspaces' addresses in the configuration of the Databricks CLI, by profile."""
    path = os.environ.get("DATABRICKS_CONFIG_FILE") or "~/.databrickscfg"
    parser = configparser.ConfigParser(default_section="", interpolation=None)
    parser.read(Path(path).expanduser(), encoding="utf-8")
    names = [name for name in parser.sections() if not name.startswith("__")]
    return {name: _to_host(parser[name].get("host", "")) for name in names}


def _to_host(text: str) -> str:
    """Return an address as the SDK spells it."""
    host = text.rstrip("/")
    return host if "://" in host or not host else f"https://{host}"


def pick_profile(
    folder: Path, target: str, given: str, answers: Mapping[str, Any], asker: Asker
) -> str:
    """Return the profile to sign in with; empty to leave it to the SDK.

    If none is given, it is that of the last `link`, or the only one of the target's workspace.
    Raises KeyboardInterrupt if a person is asked.
    """
    if known := given or _known_profile(folder, target) or str(answers.get("profile") or ""):
        return known
    names = list(profiles())
    if asker.interactive and len(names) > 1:
        return asker.pick("profile", "--profile", "", names)
    return ""


def _known_profile(folder: Path, target: str) -> str:
    chosen = os.environ.get("DATABRICKS_CONFIG_PROFILE", "")
    if chosen or os.environ.get("DATABRICKS_HOST"):
        return chosen
    host = read_host(folder, target)
    linked = read_env(folder).get("DATABRICKS_CONFIG_PROFILE", "")
    of_the_workspace = [name for name, its_host in profiles().items() if host and its_host == host]
    if linked in of_the_workspace:
        return linked
    return of_the_workspace[0] if len(of_the_workspace) == 1 else ""


def connect(profile: str) -> WorkspaceClient:
    """Return a client of the workspace of a profile, or of the environment if it is empty.

    Raises WorkspaceError if neither says how to sign in.
    """
    try:
        config = Config(profile=profile or None, retry_timeout_seconds=4, http_timeout_seconds=20)
        return WorkspaceClient(config=config)
    except ValueError as error:
        raise WorkspaceError(
            f"can't sign in ({in_one_line(error)}). Run: databricks auth login --host "
            "https://<your workspace>, or choose another with --profile"
        ) from error
