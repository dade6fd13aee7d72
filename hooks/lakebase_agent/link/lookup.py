"""What `link` looks up in a workspace for a project, and what was given instead."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from databricks.sdk.service.apps import AppResource

from lakebase_agent.errors import WorkspaceError
from lakebase_agent.project.bundle import DEV
from lakebase_agent.terminal import NEW, Asker, Say
from lakebase_agent.workspace.client import Workspace
from lakebase_agent.workspace.schemas import personal_schema

ENDPOINT = "LAKEBASE_AUTOSCALING_ENDPOINT"
PROJECT = "LAKEBASE_AUTOSCALING_PROJECT"
BRANCH = "LAKEBASE_AUTOSCALING_BRANCH"
INSTANCE = "LAKEBASE_INSTANCE_NAME"


@dataclass(frozen=True)
class LinkOptions:
    """What was given on the command line; empty if it was not."""

    profile: str = ""
    project: str = ""
    branch: str = ""
    instance: str = ""
    create_project: str = ""
    experiment: str = ""
    app: str = ""
    target: str = DEV


@dataclass(frozen=True)
class LinkValues:
    """What was found: variables of the bundle, and of the .env, where None removes one."""

    variables: dict[str, str] = field(default_factory=dict)
    env: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class LookUp:
    """Finds everything that a project needs of a workspace.

    `linked` holds the variables of the last `link`, `declared` the names of those that the bundle
    declares: an adopted project may declare fewer than a generated one.
    """

    workspace: Workspace
    answers: dict[str, Any]
    options: LinkOptions
    asker: Asker
    say: Say
    linked: dict[str, str]
    declared: Collection[str]

    def everything(self, me: str) -> LinkValues:
        """Return all values; a person is asked in this order. `me` is the user who is signed in.

        Raises UsageError, WorkspaceError, and KeyboardInterrupt.
        """
        values = LinkValues()
        resources = self._find_app(values)
        if self.answers.get("memory"):
            if self.answers["lakebase"] == "autoscaling":
                self._find_branch(values, resources)
            else:
                self._find_instance(values, resources)
            prefix = f"{self.answers['memory_schema']}_{DEV}_"
            values.env["LAKEBASE_AGENT_MEMORY_SCHEMA"] = personal_schema(prefix, me)
        if "experiment_id" in self.declared:
            self._find_experiment(values, resources, me)
        return values

    def _find_app(self, values: LinkValues) -> list[AppResource]:
        """Return the resources of the existing app to deploy to; none for a new app."""
        name = self.options.app or self._pick_app()
        if not name:
            return []
        app = self.workspace.app(name)
        values.variables["app_name"] = name
        return app.resources or []

    def _pick_app(self) -> str:
        """Return the app that a person picks for a new target; empty for a new app."""
        asks = self.asker.interactive and "app_name" in self.declared and not self.linked
        names = self.workspace.apps() if asks else []
        chosen = self.asker.pick("app", "--app", "", [NEW, *names])
        return "" if chosen == NEW else chosen

    def _find_branch(self, values: LinkValues, resources: list[AppResource]) -> None:
        paths = [item.postgres.branch for item in resources if item.postgres]
        known = next(filter(None, paths), None) or self.linked.get("lakebase_branch", "")
        known_project, known_branch = _split_path(known)
        project = self._find_project(known_project)
        name = self._pick_branch(project, known_branch if project == known_project else "")
        branch = self.workspace.branch(project, name)
        values.variables["lakebase_branch"] = branch.name
        values.variables["lakebase_database"] = branch.database
        values.env[ENDPOINT] = branch.endpoint
        # They would contradict the endpoint.
        values.env.update({PROJECT: None, BRANCH: None, INSTANCE: None})
        self.say(f"database {branch.database}")

    def _find_project(self, known: str) -> str:
        names = self.workspace.projects()
        new = self.options.create_project
        if new and new not in names:
            return self._create("project", new, self.workspace.create_project)
        answered = str(self.answers.get("lakebase_project") or "")
        given = new or self.options.project or known or answered
        return self._pick_or_create("project", given, names, self.workspace.create_project)

    def _pick_branch(self, project: str, known: str) -> str:
        names = self.workspace.branches(project)
        given = self.options.branch or known or str(self.answers.get("lakebase_branch") or "")
        if self.asker.interactive and not self.options.branch and given not in names:
            given = ""  # nobody chose it for this project
        return self.asker.pick("branch", "--branch", given, names)

    def _find_instance(self, values: LinkValues, resources: list[AppResource]) -> None:
        bound = [item.database.instance_name for item in resources if item.database]
        known = bound[0] if bound else self.linked.get("lakebase_instance", "")
        given = self.options.instance or known or str(self.answers.get("lakebase_instance") or "")
        names = self.workspace.instances()
        name = self._pick_or_create("instance", given, names, self.workspace.create_instance)
        values.variables["lakebase_instance"] = name
        values.env.update({ENDPOINT: None, PROJECT: None, BRANCH: None})
        values.env[INSTANCE] = name
        self.say(f"instance {name}")

    def _pick_or_create(
        self, kind: str, given: str, names: list[str], create: Callable[[str], None]
    ) -> str:
        """Return what was given, or what a person picks or has created."""
        offered = [*names, NEW] if self.asker.interactive and not given else names
        name = self.asker.pick(kind, f"--{kind}", given, offered)
        if name != NEW:
            return name
        return self._create(kind, self.asker.text("Its id?", self.answers["app_name"]), create)

    def _create(self, kind: str, name: str, create: Callable[[str], None]) -> str:
        self.say(f"creating the {kind} {name}, which takes minutes ...")
        with self.asker.spinner(name):
            create(name)
        return name

    def _find_experiment(self, values: LinkValues, resources: list[AppResource], me: str) -> None:
        bound = [item.experiment.experiment_id for item in resources if item.experiment]
        known = bound[0] if bound else self.linked.get("experiment_id", "")
        default = f"/Users/{me}/{self.answers['app_name']}"
        wanted = self.options.experiment or known or default
        experiment = self.workspace.experiment(wanted)
        if experiment is None and self.options.experiment:
            raise WorkspaceError(
                f"there is no experiment {wanted!r}: give its id, or its full name"
            )
        if experiment is None:
            experiment = self._create_experiment(default)
        values.variables["experiment_id"] = experiment
        values.env["MLFLOW_EXPERIMENT_ID"] = experiment

    def _create_experiment(self, name: str) -> str:
        self.say(f"creating the experiment {name}")
        return self.workspace.experiment(name) or self.workspace.create_experiment(name)


def _split_path(path: str) -> tuple[str, str]:
    """Return the project and the branch of projects/P/branches/B; empty if it is another path."""
    match = re.fullmatch("projects/([^/]+)/branches/([^/]+)", path)
    return (match[1], match[2]) if match else ("", "")
