"""Settings: environment variables, and the defaults for those that are not set."""

import os
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What an operator may want to change without reading the code. `[tool.lakebase-agent]` of
# pyproject.toml overrides these, and an environment variable of the same name overrides both.
LIMITS = {
    "CONNECT_SECONDS": 10,  # for one try to connect to Postgres
    "SETUP_SECONDS": 60,  # to wait while another process creates tables
    "START_WAIT_SECONDS": 30,  # for a request to wait for a server that is starting
    "START_RETRY_SECONDS": 3,  # between tries to start
    "STOP_SECONDS": 8,  # to finish answers at shutdown; Databricks Apps kills after 15
    "FLUSH_SECONDS": 5,  # to send the last traces when the server stops
    "LEASE_SECONDS": 10,  # until the lease of a dead process expires
    "LEASE_RENEWAL_SECONDS": 3,  # between renewals of a lease
    "HEARTBEAT_SECONDS": 3,  # between heartbeats of a background run
    "ABANDONED_SECONDS": 10,  # without a heartbeat, until another process may claim a run
    "HAND_OVER_SECONDS": 5,  # for a stopping process to release its background runs
    "MODEL_ANSWER_BYTES": 4194304,  # in one answer of the model
    "MODEL_STREAM_BYTES": 33554432,  # in all events of a stream from the model
    "OUTPUT_BYTES": 16777216,  # of all events of a turn
    "TOOL_ARGUMENTS_BYTES": 1048576,  # that the model may write for one call
    "TOOL_OUTPUT_BYTES": 1048576,  # of one call; the rest is cut off
    "PAGE_BYTES": 1048576,  # after which a page of messages or events ends
    "EXPORT_SECONDS": 600,  # for a client to read an export
}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["tool"]["lakebase-agent"]
DEFAULTS = {**LIMITS, **PROJECT}
LAKEBASE = ("AUTOSCALING_ENDPOINT", "AUTOSCALING_PROJECT", "AUTOSCALING_BRANCH", "INSTANCE_NAME")
WORKSPACE = ("DATABRICKS_APP_NAME", "DATABRICKS_HOST", "DATABRICKS_CONFIG_PROFILE")


class SettingsError(ValueError):
    """A setting is missing, malformed or contradicts another; the text names it."""


def setting(name: str) -> str:
    """Return the environment variable `name`, else its default."""
    return os.environ.get(name) or str(DEFAULTS[name])


def limit(name: str) -> int:
    """Return a numeric setting, in the unit that its name gives.

    Raises SettingsError when it is not a whole number of at least 1.
    """
    value = setting(name)
    if not (value.isascii() and value.isdecimal() and int(value)):
        raise SettingsError(f"{name} must be a whole number of at least 1, not {value!r}.")
    return int(value)


def check_limits() -> None:
    """Raise SettingsError for the first limit that is not a whole number of at least 1."""
    for name, default in DEFAULTS.items():
        if isinstance(default, int):
            limit(name)


def has(feature: str) -> bool:
    """Return whether the project has `short_term`, `long_term`, `background` or `chat`."""
    return feature in PROJECT["MEMORY"]


def in_databricks_app() -> bool:
    """Return whether this is a deployed Databricks App, which sets DATABRICKS_APP_NAME."""
    return bool(os.environ.get("DATABRICKS_APP_NAME"))


def lakebase_configured() -> bool:
    """Return whether a variable says which Lakebase to use."""
    return any(os.environ.get(f"LAKEBASE_{name}") for name in LAKEBASE)


def workspace_configured() -> bool:
    """Return whether models come from a Databricks workspace."""
    return any(os.environ.get(name) for name in WORKSPACE) or lakebase_configured()
