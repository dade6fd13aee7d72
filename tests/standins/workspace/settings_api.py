"""The settings of the stand-in workspace: which scopes its apps may ask for.

The shapes are those of databricks-sdk (`service/settingsv2.py`). A setting's name is not that
of its field; the list of settings has it.
"""

from fastapi import APIRouter

from tests.standins.workspace.content import Content
from tests.standins.workspace.errors import not_found
from tests.standins.workspace.state import Json

SCOPES = "allowedAppsUserApiScopes"


def build_settings_api(content: Content) -> APIRouter:
    """Return the routes that list settings, and return one."""
    router = APIRouter()

    @router.get("/api/2.1/settings-metadata")
    async def names(page_token: str = "") -> Json:
        """Return one name a page."""
        if not page_token:
            first = {"name": "llm_proxy_partner_powered"}
            return {"settings_metadata": [first], "next_page_token": "2"}
        return {"settings_metadata": [{"name": SCOPES}]}

    @router.get("/api/2.1/settings/{name}")
    async def setting(name: str) -> Json:
        """Return the value that is in effect."""
        if name != SCOPES:
            raise not_found(f"Setting {name}")
        allowed = {"allowed_scopes": content.app_scopes}
        return {"name": SCOPES, "effective_allowed_apps_user_api_scopes": allowed}

    return router
