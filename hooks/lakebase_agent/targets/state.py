"""The state of a bundle's target: what its deployments created, as the workspace keeps it."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from databricks.sdk.errors import NotFound
from databricks.sdk.service.workspace import ExportFormat

from lakebase_agent.workspace.client import Workspace
from lakebase_agent.workspace.refusals import errors_explained


def deployed_resources(workspace: Workspace, root_path: str) -> dict[str, str]:
    """Return the id of each resource by its key, such as apps.my_agent; empty without a state.

    The Databricks CLI keeps it below the target's root path, where only those who may read the
    folder find it. Raises WorkspaceError.
    """
    for name, read in READERS.items():
        text = _read(workspace, f"{root_path}/state/{name}")
        if text is not None:
            return read(json.loads(text))
    return {}


def _read(workspace: Workspace, path: str) -> bytes | None:
    with errors_explained(workspace.host):
        try:
            with workspace.client.workspace.download(path, format=ExportFormat.AUTO) as file:
                return bytes(file.read())
        except NotFound:
            return None


def _read_direct(state: Mapping[str, Any]) -> dict[str, str]:
    resources = state.get("state") or {}
    prefix = "resources."
    return {key.removeprefix(prefix): str(item["__id__"]) for key, item in resources.items()}


def _read_terraform(state: Mapping[str, Any]) -> dict[str, str]:
    """Return what older versions of the CLI created, of which only the apps matter here."""
    apps = [item for item in state.get("resources") or [] if item["type"] == "databricks_app"]
    found = {f"apps.{app['name']}": app["instances"] for app in apps}
    return {key: str(items[0]["attributes"]["name"]) for key, items in found.items() if items}


Reader = Callable[[Mapping[str, Any]], dict[str, str]]
READERS: dict[str, Reader] = {
    "resources.json": _read_direct,
    "terraform.tfstate": _read_terraform,
}
