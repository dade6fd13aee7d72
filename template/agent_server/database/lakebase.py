"""Which Postgres holds the memory: the settings that name it, and the app's schema in it."""

import os
import re

from agent_server import settings
from agent_server.settings import SettingsError

SCHEMA = "LAKEBASE_AGENT_MEMORY_SCHEMA"


def schema_name() -> str:
    """Return the Postgres schema that holds every table of this app.

    A developer on Lakebase has a schema of their own: the app can't alter what they create.
    """
    name = settings.setting(SCHEMA)
    if os.environ.get(SCHEMA) or settings.in_databricks_app() or not settings.lakebase_configured():
        return name
    user = os.environ.get("USER") or os.environ.get("USERNAME") or "local"
    return f"{name}_dev_{re.sub('[^a-z0-9]', '_', user.lower())}"[:63]


def lakebase_target() -> dict[str, str]:
    """Return the arguments that name this Lakebase to `AsyncLakebasePool`.

    Raises SettingsError when two variables name different ones: a choice could hide all memories.
    """
    names = [f"LAKEBASE_{name}" for name in settings.LAKEBASE]
    given = {name: os.environ.get(name, "") for name in names}
    endpoint, project, branch, instance = given.values()
    first, *pair, last = names
    for name, value in zip(pair, endpoint.split("/")[1::2], strict=False):
        if given[name] not in ("", value):
            raise _contradiction(given, first, name)
    if instance and (others := [name for name in (first, *pair) if given[name]]):
        raise _contradiction(given, others[0], last)
    if endpoint:
        return {"autoscaling_endpoint": endpoint}
    if bool(project) != bool(branch):
        raise SettingsError(f"{' and '.join(pair)} go together: {project!r} and {branch!r}.")
    return {"project": project, "branch": branch} if project else {"instance_name": instance}


def _contradiction(given: dict[str, str], *names: str) -> SettingsError:
    both = " and ".join(f"{name}={given[name]!r}" for name in names)
    return SettingsError(f"{both} name different Lakebases. Unset one, in .env or databricks.yml.")


def check_database_settings() -> None:
    """Raise SettingsError when nothing says where Postgres is: an app never guesses."""
    if settings.lakebase_configured():
        lakebase_target()
    elif settings.in_databricks_app():
        raise SettingsError(
            "This app has no Lakebase. In databricks.yml, give the app a `postgres` or `database` "
            "resource, and set LAKEBASE_AUTOSCALING_ENDPOINT or LAKEBASE_INSTANCE_NAME from it."
        )
    elif not os.environ.get("DATABASE_URL"):
        raise SettingsError("No database: start with `uv run start-app`, or set DATABASE_URL.")
