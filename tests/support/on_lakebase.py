"""A project's server on the stand-in Lakebase."""

from tests.standins.workspace import ENDPOINT_PATH, Workspace
from tests.support.project import Project, Server

ENDPOINT = {"LAKEBASE_AUTOSCALING_ENDPOINT": ENDPOINT_PATH}


def serve(project: Project, workspace: Workspace, more: dict[str, str] | None = None) -> Server:
    """Start a server; on the endpoint, unless `more` variables name another place."""
    named = any(name.startswith("LAKEBASE_") for name in more or {})
    schema = {"LAKEBASE_AGENT_MEMORY_SCHEMA": "developers"}
    variables = {**schema, **({} if named else ENDPOINT), **(more or {})}
    return Server(project, **workspace.variables(**variables))
