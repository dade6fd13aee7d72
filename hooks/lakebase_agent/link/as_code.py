"""The Lakebase of a target as code: declared in the target's file, created by its deployment."""

from databricks.sdk.service.apps import AppResource

from lakebase_agent.errors import UsageError
from lakebase_agent.link.created import (
    NEW_DATABASE,
    PR,
    new_branch,
    new_instance,
    new_project,
)
from lakebase_agent.link.linking import BRANCH, ENDPOINT, INSTANCE, PROJECT, Linking, split_path
from lakebase_agent.link.options import LinkValues
from lakebase_agent.project.bundle import DEV
from lakebase_agent.targets.target import CREATED

PRODUCTION = "production"  # the first branch of a project


class LakebaseAsCode(Linking):
    """Declares the Lakebase of a target, or keeps what was declared."""

    def declare(self, values: LinkValues) -> None:
        """Add a Lakebase to create, and the variables that refer to it, to `values`.

        Raises UsageError, WorkspaceError, and KeyboardInterrupt.
        """
        autoscaling = self.answers["lakebase"] == "autoscaling"
        target, name = self.target.name, str(self.answers["app_name"])
        if not autoscaling and target == PR:
            raise UsageError("a pull request's Lakebase is a branch, which instances don't have")
        if not autoscaling:
            values.add(new_instance(target, self.options.instance or name))
            self.say("the bundle creates an instance: the older kind of Lakebase")
        elif target in (DEV, PR):
            project, source, database = self._parent()
            values.add(new_branch(target, project, source, database))
            self.say(f"the bundle creates a branch of projects/{project}/branches/{source}")
        else:
            values.add(new_project(self.options.project or name))
            self.say(f"the bundle creates the project {self.options.project or name}")
        values.env.update(dict.fromkeys((ENDPOINT, PROJECT, BRANCH, INSTANCE)))
        if before := self.linked("lakebase_branch") or self.linked("lakebase_instance"):
            self.say(f"leaving {before}: what is stored there stays there")
        self._say_when()

    def keep(self, values: LinkValues, bound: list[AppResource]) -> None:
        """Keep what the bundle creates, and use it from this machine once it is there.

        `bound` are the resources of the deployed app. Raises UsageError and WorkspaceError.
        """
        given = self.options
        if given.branch or given.project or given.create_project or given.instance:
            raise UsageError(
                f"the bundle creates the Lakebase of target {self.target.name}, and the next "
                f"deployment would delete it. Remove its resource from "
                f"workspace.{self.target.name}.yml first"
            )
        values.env.update(dict.fromkeys((ENDPOINT, PROJECT, BRANCH, INSTANCE)))
        branch = next((item.postgres.branch for item in bound if item.postgres), None)
        instance = next((item.database.instance_name for item in bound if item.database), None)
        if branch:
            values.env[ENDPOINT] = self.workspace.branch_at(branch).endpoint
        elif instance:
            values.env[INSTANCE] = instance
        else:
            self._say_when()

    def _say_when(self) -> None:
        if self.target.name == DEV:
            self.say("the first deployment creates it: then link again, to use it on this machine")

    def _parent(self) -> tuple[str, str, str]:
        """Return the project, the branch to copy, and the id of the database in it."""
        project, source = self._production()
        names = self.workspace.projects()
        if self.options.project or not project:
            project = self._pick_parent(names)
        source = self.options.branch or source or PRODUCTION
        if project not in names:  # the bundle creates it, when production is deployed
            self.say(f"deploy production first: it creates the project {project}")
            return project, source, NEW_DATABASE
        database = self.workspace.branch(project, source).database
        return project, source, database.rpartition("/")[2]

    def _pick_parent(self, names: list[str]) -> str:
        if not names:
            raise UsageError(
                "the workspace has no Lakebase project to branch from. "
                "Run: lakebase-agent link --create --target prod, and deploy that first"
            )
        given = self.options.project or str(self.answers.get("lakebase_project") or "")
        return self.asker.pick("project", "--project", given, names)

    def _production(self) -> tuple[str, str]:
        """Return the project and the branch of production; else of this target, before."""
        shared = [target for target in self.others if target.name not in (DEV, PR)]
        for target in [*shared, self.target]:
            path = target.variables.get("lakebase_branch", "")
            section = (target.linked.get("targets") or {}).get(target.name) or {}
            projects = (section.get("resources") or {}).get("postgres_projects") or {}
            if path.startswith(CREATED) and projects:
                return str(next(iter(projects.values()))["project_id"]), PRODUCTION
            if split_path(path)[0]:
                return split_path(path)
        return "", ""
