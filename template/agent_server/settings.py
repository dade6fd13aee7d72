"""What the environment says, and the defaults in pyproject.toml when it says nothing."""

import os
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAKEBASE_VARIABLES = (
    "LAKEBASE_AUTOSCALING_ENDPOINT",
    "LAKEBASE_AUTOSCALING_PROJECT",
    "LAKEBASE_AUTOSCALING_BRANCH",
    "LAKEBASE_INSTANCE_NAME",
)


class SettingsError(ValueError):
    """A setting is missing, malformed or contradicts another; the text names it."""


@cache
def _defaults() -> dict[str, str]:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return {key: str(value) for key, value in table["tool"]["lakebase-agent"].items()}


def setting(name: str) -> str:
    """Return the environment variable `name`, else its default in `[tool.lakebase-agent]`."""
    return os.environ.get(name) or _defaults()[name]


def whole_number(name: str) -> int:
    """Return a setting that counts something; raises SettingsError unless it is above zero."""
    value = setting(name)
    if not value.isdecimal() or int(value) == 0:
        raise SettingsError(f"{name} must be a whole number above zero, not {value!r}.")
    return int(value)


def in_databricks_app() -> bool:
    """True inside a deployed Databricks App, which sets its own name."""
    return bool(os.environ.get("DATABRICKS_APP_NAME"))


def lakebase_configured() -> bool:
    """True when a variable says which Lakebase to use."""
    return any(os.environ.get(name) for name in LAKEBASE_VARIABLES)


def workspace_configured() -> bool:
    """True when models should come from a Databricks workspace."""
    names = ("DATABRICKS_APP_NAME", "DATABRICKS_HOST", "DATABRICKS_CONFIG_PROFILE")
    return any(os.environ.get(name) for name in names) or lakebase_configured()


def needs_offline_model() -> bool:
    """True when nothing says which model to use, so that a stand-in answers; never in Apps."""
    return not workspace_configured() and not os.environ.get("OPENAI_BASE_URL")
