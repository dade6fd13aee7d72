"""What `link` looks up in a workspace for a project, and what was given instead."""

from collections.abc import Collection
from dataclasses import dataclass

from databricks.sdk.service.apps import AppResource

from lakebase_agent.errors import WorkspaceError
from lakebase_agent.link.as_code import LakebaseAsCode
from lakebase_agent.link.created import experiment_name, new_experiment
from lakebase_agent.link.lakebase import LakebaseLookUp
from lakebase_agent.link.linking import Linking
from lakebase_agent.link.losses import losses
from lakebase_agent.link.options import LinkValues
from lakebase_agent.link.team import Team
from lakebase_agent.project.bundle import DEV
from lakebase_agent.targets.target import CREATED
from lakebase_agent.terminal import NEW
from lakebase_agent.workspace.schemas import personal_schema


@dataclass(frozen=True)
class LookUp(Linking):
    """Finds everything that a project needs of a workspace.

    `declared` holds the names of the variables that the bundle declares: an adopted project may
    declare fewer than a generated one.
    """

    declared: Collection[str]

    def everything(self, me: str) -> LinkValues:
        """Return all values; a person is asked in this order. `me` is the user who is signed in.

        Raises UsageError, WorkspaceError, and KeyboardInterrupt.
        """
        values = LinkValues()
        taken = self._find_app(values)
        owner = self.to(Team).add(values, me, self.declared)
        bound = taken or self._deployed(values)
        if self.answers.get("memory"):
            self._find_lakebase(values, bound, taken)
            prefix = f"{self.answers['memory_schema']}_{DEV}_"
            values.env["LAKEBASE_AGENT_MEMORY_SCHEMA"] = personal_schema(prefix, me)
        if "experiment_id" in self.declared:
            self._find_experiment(values, bound, taken, owner)
        return values

    def _find_app(self, values: LinkValues) -> list[AppResource]:
        """Return the resources of the existing app to deploy to; none for a new app."""
        name = self.options.app or self._pick_app()
        if not name:
            return []
        app = self.workspace.app(name)
        values.variables["app_name"] = name
        for loss in losses(app, self.target.bundle):
            self.say(f"the next deployment takes this from {name}: {loss}")
        return app.resources or []

    def _pick_app(self) -> str:
        """Return the app that a person picks for a new target; empty for a new app."""
        asks = self.asker.interactive and "app_name" in self.declared
        names = self.workspace.apps() if asks and not self.target.linked else []
        chosen = self.asker.pick("app", "--app", "", [NEW, *names])
        return "" if chosen == NEW else chosen

    def _deployed(self, values: LinkValues) -> list[AppResource]:
        """Return the resources of the target's app, if the bundle creates what they are."""
        if not any(value.startswith(CREATED) for value in self.target.variables.values()):
            return []
        name = values.own.get("app_name") or self.linked("app_name")
        app = self.workspace.find_app(name)
        return (app.resources or []) if app else []

    def _find_lakebase(
        self, values: LinkValues, bound: list[AppResource], taken: list[AppResource]
    ) -> None:
        autoscaling = self.answers["lakebase"] == "autoscaling"
        known = self.linked("lakebase_branch" if autoscaling else "lakebase_instance")
        if known.startswith(CREATED):
            self.to(LakebaseAsCode).keep(values, bound)
        elif self.creates or not self.to(LakebaseLookUp).find(values, taken):
            self.to(LakebaseAsCode).declare(values)

    def _find_experiment(
        self, values: LinkValues, bound: list[AppResource], taken: list[AppResource], owner: str
    ) -> None:
        known = _experiment(taken) or self.linked("experiment_id")
        default = experiment_name(self.target.name, str(self.answers["app_name"]), owner)
        if known.startswith(CREATED) and not self.options.experiment:
            values.env["MLFLOW_EXPERIMENT_ID"] = _experiment(bound) or None
            return
        wanted = self.options.experiment or known or default
        experiment = self.workspace.experiment(wanted) if wanted else None
        if experiment is None and self.options.experiment:
            raise WorkspaceError(
                f"there is no experiment {wanted!r}: give its id, or its full name"
            )
        if experiment is None and self.creates:
            app = str(self.answers["app_name"])
            values.add(new_experiment(self.target.name, app, owner))
            values.env["MLFLOW_EXPERIMENT_ID"] = None
            return
        if experiment is None:
            experiment = self._create_experiment(default)
        values.variables["experiment_id"] = experiment
        values.env["MLFLOW_EXPERIMENT_ID"] = experiment

    def _create_experiment(self, name: str) -> str:
        self.say(f"creating the experiment {name}")
        return self.workspace.experiment(name) or self.workspace.create_experiment(name)


def _experiment(resources: list[AppResource]) -> str:
    found = (item.experiment.experiment_id for item in resources if item.experiment)
    return str(next(found, ""))
