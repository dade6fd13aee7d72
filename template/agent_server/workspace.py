"""The process's one client of its Databricks workspace."""

from functools import cache

from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config

# Of a workspace that does not answer; the default, five minutes, would hold a stop up as long.
RETRY_SECONDS = 10


@cache
def workspace_client() -> WorkspaceClient:
    """Return the client, which signs in by what the environment says; it may block.

    Raises ValueError when nothing says how to sign in.
    """
    return WorkspaceClient(config=Config(retry_timeout_seconds=RETRY_SECONDS))
