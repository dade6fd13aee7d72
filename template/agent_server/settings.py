"""What the environment says, and the defaults in pyproject.toml when it says nothing."""

import os
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFAULTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["lakebase-agent"]
LAKEBASE = ("AUTOSCALING_ENDPOINT", "AUTOSCALING_PROJECT", "AUTOSCALING_BRANCH", "INSTANCE_NAME")
WORKSPACE = ("DATABRICKS_APP_NAME", "DATABRICKS_HOST", "DATABRICKS_CONFIG_PROFILE")


class SettingsError(ValueError):
    """A setting is missing, malformed or contradicts another; the text names it."""


def setting(name: str) -> str:
    """Return the environment variable `name`, else its default in `[tool.lakebase-agent]`."""
    return os.environ.get(name) or str(DEFAULTS[name])


def in_databricks_app() -> bool:
    """True inside a deployed Databricks App, which sets its own name."""
    return bool(os.environ.get("DATABRICKS_APP_NAME"))


def lakebase_configured() -> bool:
    """True when a variable says which Lakebase to use."""
    return any(os.environ.get(f"LAKEBASE_{name}") for name in LAKEBASE)


def workspace_configured() -> bool:
    """True when models should come from a Databricks workspace."""
    return any(os.environ.get(name) for name in WORKSPACE) or lakebase_configured()
