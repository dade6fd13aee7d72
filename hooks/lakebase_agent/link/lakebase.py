"""Which Lakebase of the workspace a target has, or one to create there now."""

from collections.abc import Callable

from databricks.sdk.service.apps import AppResource

from lakebase_agent.errors import UsageError
from lakebase_agent.link.linking import BRANCH, ENDPOINT, INSTANCE, PROJECT, Linking, split_path
from lakebase_agent.link.options import LinkValues
from lakebase_agent.project.bundle import DEV
from lakebase_agent.terminal import NEW

BUNDLE = "(let the bundle create it)"


class LakebaseLookUp(Linking):
    """Finds the Lakebase of a target in the workspace."""

    def find(self, values: LinkValues, bound: list[AppResource]) -> bool:
        """Add the Lakebase's variables to `values`; `bound` are resources of an app to take.

        Return whether there is one; a person may rather let the bundle create it. Raises
        UsageError, WorkspaceError, and KeyboardInterrupt.
        """
        if self.answers["lakebase"] == "autoscaling":
            return self._find_branch(values, bound)
        return self._find_instance(values, bound)

    def _find_branch(self, values: LinkValues, bound: list[AppResource]) -> bool:
        paths = [item.postgres.branch for item in bound if item.postgres]
        known = next(filter(None, paths), None) or self.linked("lakebase_branch")
        known_project, known_branch = split_path(known)
        project = self._find_project(known_project)
        if project == BUNDLE:
            return False
        name = self._pick_branch(project, known_branch if project == known_project else "")
        branch = self.workspace.branch(project, name)
        self._check_shared(branch.name, known)
        values.variables["lakebase_branch"] = branch.name
        values.variables["lakebase_database"] = branch.database
        values.env[ENDPOINT] = branch.endpoint
        # They would contradict the endpoint.
        values.env.update({PROJECT: None, BRANCH: None, INSTANCE: None})
        self.say(f"database {branch.database}")
        return True

    def _check_shared(self, path: str, known: str) -> None:
        """Raise UsageError for a branch that another target has, unless somebody chose it."""
        users = [t.name for t in self.others if t.variables.get("lakebase_branch") == path]
        if not users:
            return
        if not (self.options.branch or self.asker.interactive or path == known):
            raise UsageError(
                f"target {users[0]} has {path}. Give {self.target.name} another with --branch, or "
                f"let the bundle create one: lakebase-agent link --create --target "
                f"{DEV if users[0] == DEV else self.target.name}"
            )
        self.say(f"target {users[0]} has this branch, too: a mistake in one is one in the other")

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
        taken = [split_path(target.variables.get("lakebase_branch", "")) for target in self.others]
        chosen = given in names and (project, given) not in taken
        if self.asker.interactive and not self.options.branch and not known and not chosen:
            given = ""  # nobody chose it for this target
        return self.asker.pick("branch", "--branch", given, names)

    def _find_instance(self, values: LinkValues, bound: list[AppResource]) -> bool:
        there = [item.database.instance_name for item in bound if item.database]
        known = there[0] if there else self.linked("lakebase_instance")
        given = self.options.instance or known or str(self.answers.get("lakebase_instance") or "")
        names = self.workspace.instances()
        name = self._pick_or_create("instance", given, names, self.workspace.create_instance)
        if name == BUNDLE:
            return False
        values.variables["lakebase_instance"] = name
        values.env.update({ENDPOINT: None, PROJECT: None, BRANCH: None})
        values.env[INSTANCE] = name
        self.say(f"instance {name}")
        return True

    def _pick_or_create(
        self, kind: str, given: str, names: list[str], create: Callable[[str], None]
    ) -> str:
        """Return what was given, or what a person picks or has created."""
        offered = [*names, BUNDLE, NEW] if self.asker.interactive and not given else names
        if not offered:
            raise UsageError(f"the workspace has no {kind}. To let the bundle create it: --create")
        name = self.asker.pick(kind, f"--{kind}", given, offered)
        if name != NEW:
            return name
        return self._create(kind, self.asker.text("Its id?", self.answers["app_name"]), create)

    def _create(self, kind: str, name: str, create: Callable[[str], None]) -> str:
        self.say(f"creating the {kind} {name}, which takes minutes ...")
        with self.asker.spinner(name):
            create(name)
        return name
