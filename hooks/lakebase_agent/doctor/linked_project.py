"""A project as `doctor` examines it: its own files, and the workspace that it is linked to."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from databricks.sdk.service.apps import App

from lakebase_agent.lakebase_variables import written
from lakebase_agent.project.bundle import DEV
from lakebase_agent.targets.target import CREATED, Target
from lakebase_agent.workspace.client import Workspace


@dataclass(frozen=True)
class LinkedProject:
    """A project, one target of its bundle, and the workspace."""

    answers: dict[str, Any]
    settings: dict[str, str]
    bundle_target: Target
    workspace: Workspace
    version: str  # of the project itself
    folder: Path

    @property
    def target(self) -> str:
        """The name of the target."""
        return self.bundle_target.name

    @cached_property
    def variables(self) -> dict[str, str]:
        """The variables of the bundle, but for those that only the Databricks CLI can read.

        What only a deployment can know is what the deployed app has; empty before it is deployed.
        """
        known = {name: str(self.answers[name]) for name in NAMED if name in self.answers}
        given = {**known, **written(self.bundle_target.bundle), **self.bundle_target.variables}
        given = {name: value for name, value in given.items() if name not in self.unread}
        deployed = {name: given.get(name, "") for name in RESOURCES}
        if any(value.startswith(CREATED) for value in deployed.values()):
            app = self.workspace.find_app(given.get("app_name", ""))
            given |= {n: _bound(app, n) for n, v in deployed.items() if v.startswith(CREATED)}
        return given

    @cached_property
    def unread(self) -> dict[str, str]:
        """What the bundle gives those of `link`'s variables that can't be read here."""
        return unread(self.bundle_target)

    @property
    def app(self) -> str:
        """The name of the app; empty if it is not known."""
        return self.variables.get("app_name", "")

    @cached_property
    def deployed(self) -> App | None:
        """The app as it is deployed; None before. Raises WorkspaceError."""
        return self.workspace.find_app(self.app) if self.app else None

    @property
    def link_command(self) -> str:
        """The command that looks up the variables of this target."""
        return link_command(self.target)

    def code(self, name: str) -> str:
        """Return the text of one of its files; empty without that file."""
        path = self.folder / name
        return path.read_bytes().decode("utf-8") if path.is_file() else ""

    def is_created(self, variable: str) -> bool:
        """Return whether the bundle itself creates what a variable names."""
        return self.bundle_target.variables.get(variable, "").startswith(CREATED)

    def remembers(self, memory: str) -> bool:
        """Return whether the project has a kind of memory, such as long_term."""
        return memory in self.answers.get("memory", [])


NAMED = ("app_name", "memory_schema")  # if the bundle does not name them, the answers do
RESOURCES = {
    "lakebase_branch": ("postgres", "branch"),
    "lakebase_database": ("postgres", "database"),
    "lakebase_instance": ("database", "instance_name"),
    "experiment_id": ("experiment", "experiment_id"),
}


def unread(target: Target) -> dict[str, str]:
    """Return the variables of `link` whose values have references that only the CLI fills in."""
    values = target.variables
    return {
        name: value
        for name in (*NAMED, *RESOURCES)
        if "${" in (value := values.get(name, "")) and not value.startswith(CREATED)
    }


def _bound(app: App | None, variable: str) -> str:
    """Return what a resource of an app names; empty if the app has none of its kind."""
    kind, part = RESOURCES[variable]
    resources = app.resources or [] if app else []
    found = (getattr(item, kind) for item in resources if getattr(item, kind))
    return str(getattr(next(found, None), part, "") or "")


def link_command(target: str) -> str:
    """Return the command that looks up the variables of a target."""
    return "lakebase-agent link" + (f" --target {target}" if target != DEV else "")
