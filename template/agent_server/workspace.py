"""The process's one client of its Databricks workspace."""

from functools import cache

from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config

from agent_server.settings import SettingsError

# Of a workspace that does not answer; the default, five minutes, would hold a stop up as long. Who
# asks here tries again by itself: the start every three seconds, the pool for as long as a turn.
RETRY_SECONDS = 1


@cache
def workspace_client() -> WorkspaceClient:
    """Return the client, which signs in by what the environment says; it may block.

    Raises SettingsError when nothing says how to sign in.
    """
    try:
        return WorkspaceClient(config=Config(retry_timeout_seconds=RETRY_SECONDS))
    except ValueError as error:
        text = "DATABRICKS_CONFIG_PROFILE and DATABRICKS_HOST lead to no sign-in to a workspace."
        raise SettingsError(f"{text} Run: lakebase-agent doctor") from error
