"""What is looked up in a workspace for a project, and what was given instead."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from databricks.sdk.service.apps import AppResource

from lakebase_agent.asking import NEW, Asker
from lakebase_agent.errors import WorkspaceError
from lakebase_agent.workspace.client import Workspace
from lakebase_agent.workspace.schemas import personal_schema

Say = Callable[[str], None]
DEV = "dev"
INSTANCE_OF_ENV = "LAKEBASE_INSTANCE_NAME"
BRANCH_OF_ENV = ("LAKEBASE_AUTOSCALING_PROJECT", "LAKEBASE_AUTOSCALING_BRANCH")


@dataclass(frozen=True)
class LinkOptions:
    """What was given on the command line; empty where it was not."""

    profile: str = ""
    project: str = ""
    branch: str = ""
    instance: str = ""
    create_project: str = ""
    experiment: str = ""
    app: str = ""
    target: str = DEV


@dataclass(frozen=True)
class Found:
    """What was looked up: variables of the bundle, and of the local environment."""

    variables: dict[str, str] = field(default_factory=dict)
    env: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class LookUp:
    """Everything that a project needs of a workspace."""

    workspace: Workspace
    answers: dict[str, Any]
    options: LinkOptions
    asker: Asker
    say: Say
    previous: dict[str, str]
    declared: Collection[str]  # by the bundle: that of an adopted project may have its own ways

    def everything(self, me: str) -> Found:
        """Return what was found; the order is that of the questions.

        Raises UsageError and WorkspaceError.
        """
        found = Found()
        bound = self._resources_of_app(found)
        if self.answers.get("memory"):
            autoscaling = self.answers["lakebase"] == "autoscaling"
            self._autoscaling(found, bound) if autoscaling else self._provisioned(found, bound)
            schema = f"{self.answers['memory_schema']}_{DEV}_"
            found.env["LAKEBASE_AGENT_MEMORY_SCHEMA"] = personal_schema(schema, me)
        if "experiment_id" in self.declared:
            self._experiment(found, bound, me)
        return found

    def _resources_of_app(self, found: Found) -> list[AppResource]:
        if not (name := self.options.app or self._app()):
            return []
        app = self.workspace.app(name)
        found.variables["app_name"] = name
        return app.resources or []

    def _app(self) -> str:
        """Return the app that a person picks for a target that is new; empty for a new one."""
        asks = self.asker.interactive and "app_name" in self.declared and not self.previous
        names = self.workspace.apps() if asks else []
        chosen = self.asker.pick("app", "--app", "", [NEW, *names])
        return "" if chosen == NEW else chosen

    def _autoscaling(self, found: Found, bound: list[AppResource]) -> None:
        paths = [r.postgres.branch for r in bound if r.postgres and r.postgres.branch]
        known = (paths or [self.previous.get("lakebase_branch", "")])[0]
        project, branch = _parts(str(known))
        answered = str(self.answers.get("lakebase_project") or "")
        given = self.options.create_project or self.options.project or project or answered
        project, fresh = self._project(given), given != project
        default = str(self.answers.get("lakebase_branch") or "")
        wanted = self.options.branch or ("" if fresh else branch) or default
        branches = self.workspace.branches(project)
        if self.asker.interactive and not self.options.branch and wanted not in branches:
            wanted = ""  # nobody chose it for this project
        branch = self.asker.pick("branch", "--branch", wanted, branches)
        place = self.workspace.branch(project, branch)
        found.variables["lakebase_branch"] = place.name
        found.variables["lakebase_database"] = place.database
        # What names another place would contradict it.
        found.env.update(dict.fromkeys((*BRANCH_OF_ENV, INSTANCE_OF_ENV)))
        found.env["LAKEBASE_AUTOSCALING_ENDPOINT"] = place.endpoint
        self.say(f"database {place.database}")

    def _project(self, given: str) -> str:
        names, create = self.workspace.projects(), self.workspace.create_project
        if (new := self.options.create_project) and new not in names:
            return self._created("project", new, create)
        return self._picked("project", given, names, create)

    def _picked(self, what: str, given: str, names: list[str], create: Say) -> str:
        """Return what was given, or what a person picks; it is created when it is a new one."""
        offered = [*names, NEW] if self.asker.interactive and not given else names
        name = self.asker.pick(what, f"--{what}", given, offered)
        if name != NEW:
            return name
        return self._created(what, self.asker.text("Its id?", self.answers["app_name"]), create)

    def _created(self, what: str, name: str, create: Say) -> str:
        self.say(f"creating the {what} {name}, which takes minutes ...")
        with self.asker.spinner(name):
            create(name)
        return name

    def _provisioned(self, found: Found, bound: list[AppResource]) -> None:
        names = [r.database.instance_name for r in bound if r.database]
        known = (names or [self.previous.get("lakebase_instance", "")])[0]
        given = self.options.instance or known or str(self.answers.get("lakebase_instance") or "")
        names, create = self.workspace.instances(), self.workspace.create_instance
        name = self._picked("instance", given, names, create)
        found.variables["lakebase_instance"] = name
        found.env.update(dict.fromkeys(("LAKEBASE_AUTOSCALING_ENDPOINT", *BRANCH_OF_ENV)))
        found.env[INSTANCE_OF_ENV] = name
        self.say(f"instance {name}")

    def _experiment(self, found: Found, bound: list[AppResource], me: str) -> None:
        ids = [r.experiment.experiment_id for r in bound if r.experiment]
        known = (ids or [self.previous.get("experiment_id", "")])[0]
        name = f"/Users/{me}/{self.answers['app_name']}"
        wanted = self.options.experiment or known or name
        experiment = self.workspace.experiment(wanted)
        if experiment is None and self.options.experiment:
            raise WorkspaceError(
                f"there is no experiment {wanted!r}: give its id, or its full name"
            )
        if experiment is None:
            self.say(f"creating the experiment {name}")
            experiment = self.workspace.experiment(name) or self.workspace.create_experiment(name)
        found.variables["experiment_id"] = experiment
        found.env["MLFLOW_EXPERIMENT_ID"] = experiment


def _parts(path: str) -> tuple[str, str]:
    match = re.fullmatch("projects/([^/]+)/branches/([^/]+)", path)
    return (match[1], match[2]) if match else ("", "")
