"""What an existing app has that the bundle does not: the next deployment takes it away."""

from collections.abc import Iterator, Mapping
from typing import Any

from databricks.sdk.service.apps import App

from lakebase_agent.project.bundle import app_settings

# What the variables of the bundle name is taken from the app.
TAKEN = ("postgres", "database", "experiment")


def losses(app: App, bundle: Mapping[str, Any]) -> Iterator[str]:
    """Yield what of an app is not in the bundle: resources, and scopes of its users."""
    settings = app_settings(bundle)
    declared = [_what(resource) for resource in settings.get("resources") or []]
    kinds = {kind for kind, _ in declared}
    for resource in app.resources or []:
        kind, what = _what(resource.as_dict())
        if (kind, what) not in declared and not (kind in TAKEN and kind in kinds):
            yield f"the resource {resource.name} ({kind} {what})"
    for scope in app.user_api_scopes or []:
        if scope not in (settings.get("user_api_scopes") or []):
            yield f"the scope {scope} of its users"


def _what(resource: Mapping[str, Any]) -> tuple[str, str]:
    """Return the kind of a resource of an app, and which one it is."""
    for kind, value in resource.items():
        if isinstance(value, Mapping):
            names = [str(part) for name, part in value.items() if name != "permission"]
            return kind, " ".join(sorted(names))
    return "", ""
