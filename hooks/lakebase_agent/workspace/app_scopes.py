"""Which scopes a workspace allows its apps to ask for, to act as their users."""

from databricks.sdk.errors import NotFound, PermissionDenied

from lakebase_agent.workspace.client import Workspace
from lakebase_agent.workspace.refusals import errors_explained

NAME = "allowed_apps_user_api_scopes"


def allowed_scopes(workspace: Workspace) -> list[str] | None:
    """Return what an administrator allows; empty if nothing, None if the workspace does not tell.

    Raises WorkspaceError.
    """
    settings = workspace.client.workspace_settings_v2
    with errors_explained(workspace.host):
        try:
            listed = (str(one.name) for one in settings.list_workspace_settings_metadata())
            name = next((name for name in listed if _plain(name) == _plain(NAME)), "")
            if not name:
                return None
            setting = settings.get_public_workspace_setting(name)
        except (NotFound, PermissionDenied):
            return None
    message = setting.effective_allowed_apps_user_api_scopes
    return None if message is None else list(message.allowed_scopes or [])


def _plain(name: str) -> str:
    """Return a name as both spellings have it: that of fields, and that of addresses."""
    return name.replace("_", "").lower()
