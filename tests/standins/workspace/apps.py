"""The apps of the stand-in workspace."""

from dataclasses import dataclass, field

from tests.standins.workspace.state import Json

# https://docs.databricks.com/aws/en/dev-tools/databricks-apps/auth: they can't be asked for.
DEFAULT_SCOPES = ["iam.access-control:read", "iam.current-user:read"]


@dataclass
class App:
    """A Databricks App, with what it may use."""

    name: str
    service_principal_client_id: str
    resources: list[Json] = field(default_factory=list)
    creator: str = ""
    user_api_scopes: list[str] = field(default_factory=list)
    granted: list[str] | None = None  # of these, if not all; each app has DEFAULT_SCOPES
    forwards: bool = True  # the tokens of its users
    permissions: list[Json] = field(default_factory=list)
    url: str = ""  # where it answers; nowhere by default

    def to_json(self) -> Json:
        """Return it as the API does."""
        granted = self.user_api_scopes if self.granted is None else self.granted
        return {
            "name": self.name,
            "id": self.name,
            "url": self.url or f"https://{self.name}.databricksapps.com",
            "creator": self.creator,
            "user_api_scopes": self.user_api_scopes,
            "effective_user_api_scopes": [*DEFAULT_SCOPES, *granted],
            "forward_user_access_token": self.forwards,
            "service_principal_client_id": self.service_principal_client_id,
            "service_principal_id": 1,
            "service_principal_name": f"app {self.name}",
            "compute_status": {"state": "ACTIVE", "message": "App compute is running."},
            "app_status": {"state": "RUNNING", "message": "App is running"},
            "resources": self.resources,
        }
