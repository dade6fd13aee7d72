"""The one client of the Databricks workspace in this process."""

from functools import cache
from typing import TYPE_CHECKING

from agent_server.settings import SettingsError

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

# The default, five minutes, would delay a shutdown as long when the workspace does not answer. The
# callers retry anyway: the startup every three seconds, the pool for as long as a turn waits.
RETRY_SECONDS = 1


@cache
def workspace_client() -> "WorkspaceClient":
    """Return the client, which signs in as the environment says; it may block.

    Raises SettingsError when the environment has no way to sign in.
    """
    # They take seconds to import, and nothing offline needs them.
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.config import Config

    try:
        return WorkspaceClient(config=Config(retry_timeout_seconds=RETRY_SECONDS))
    except ValueError as error:
        text = "Can't sign in to a workspace: see DATABRICKS_CONFIG_PROFILE and DATABRICKS_HOST."
        raise SettingsError(f"{text} Run: lakebase-agent doctor") from error
