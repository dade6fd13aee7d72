"""The process's one client of its Databricks workspace."""

from functools import cache

from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config

from agent_server.settings import SettingsError

# For a workspace that does not answer: the default, five minutes, would hold up a stop as long. The
# callers try again by themselves: the start every three seconds, the pool for as long as a turn.
RETRY_SECONDS = 1


@cache
def workspace_client() -> WorkspaceClient:
    """Return the client, which signs in as the environment says. It may block.

    Raises SettingsError when the environment leads to no sign-in.
    """
    try:
        return WorkspaceClient(config=Config(retry_timeout_seconds=RETRY_SECONDS))
    except ValueError as error:
        text = "DATABRICKS_CONFIG_PROFILE and DATABRICKS_HOST lead to no sign-in to a workspace."
        raise SettingsError(f"{text} Run: lakebase-agent doctor") from error
