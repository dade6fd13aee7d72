"""What the environment says, and the defaults for what it does not say."""

import os
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What an operator may want to change without looking into the code. An environment variable of the
# same name wins over these, as over everything in `[tool.lakebase-agent]` of pyproject.toml.
LIMITS = {
    "CONNECT_SECONDS": 10,  # for one try to connect to Postgres
    "SETUP_SECONDS": 60,  # to wait while another process creates tables
    "START_WAIT_SECONDS": 30,  # that a request waits for a server that is starting
    "START_RETRY_SECONDS": 3,  # between two tries to start
    "STOP_SECONDS": 8,  # for answers that are being written; Databricks Apps kills after 15
    "FLUSH_SECONDS": 5,  # to send the last traces when the server stops
    "LEASE_SECONDS": 10,  # after which the lease of a process that died expires
    "LEASE_RENEWAL_SECONDS": 3,  # between two renewals of a lease
    "HEARTBEAT_SECONDS": 3,  # between two signs of life of a background run
    "ABANDONED_SECONDS": 10,  # without a sign of life, after which another process takes a run
    "HAND_OVER_SECONDS": 5,  # for a stopping process to let go of its background runs
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
    """Return a setting that is a number, in the unit that its name gives.

    Raises SettingsError when it is not a whole number from 1 up.
    """
    value = setting(name)
    if not (value.isascii() and value.isdecimal() and int(value)):
        raise SettingsError(f"{name} must be a whole number from 1 up, not {value!r}.")
    return int(value)


def check_limits() -> None:
    """Raise SettingsError for the first limit that is not a whole number from 1 up."""
    for name, default in DEFAULTS.items():
        if isinstance(default, int):
            limit(name)


def has(feature: str) -> bool:
    """Return whether the project has `short_term`, `long_term`, `background` or `chat`."""
    return feature in PROJECT["MEMORY"]


def in_databricks_app() -> bool:
    """Return whether this is a deployed Databricks App, which has its name in the environment."""
    return bool(os.environ.get("DATABRICKS_APP_NAME"))


def lakebase_configured() -> bool:
    """Return whether a variable says which Lakebase to use."""
    return any(os.environ.get(f"LAKEBASE_{name}") for name in LAKEBASE)


def workspace_configured() -> bool:
    """Return whether models come from a Databricks workspace."""
    return any(os.environ.get(name) for name in WORKSPACE) or lakebase_configured()
