"""`link --create`: what the bundle itself creates, and what its variables then refer to."""

from dataclasses import dataclass, field
from typing import Any

from lakebase_agent.project.bundle import DEV

PR = "pr"  # the target of pull requests, which only `link --create` writes
NEW_DATABASE = "databricks-postgres"  # the id that a new project gives its first database
USER = "${workspace.current_user.userName}"
FRIENDLY_USER = "${workspace.current_user.domain_friendly_name}"
NUMBER = "${var.pr}"
KEPT = {"prevent_destroy": True}
APP_LENGTH = 30
NUMBER_LENGTH = 5
# Sizes in compute units; an endpoint sleeps after so long without a query.
ENDPOINT = {
    "autoscaling_limit_min_cu": 0.5,
    "autoscaling_limit_max_cu": 4,
    "suspend_timeout_duration": "300s",
}
LIVES = {DEV: "1209600s", PR: "604800s"}  # of a branch, 14 and 7 days from its creation


@dataclass(frozen=True)
class Created:
    """What to declare for a target: resources by kind and key, and the variables' values.

    `declared` are variables that the target alone has.
    """

    variables: dict[str, str] = field(default_factory=dict)
    resources: dict[str, Any] = field(default_factory=dict)
    declared: dict[str, Any] = field(default_factory=dict)

    def __or__(self, other: "Created") -> "Created":
        """Return both."""
        return Created(
            {**self.variables, **other.variables},
            {**self.resources, **other.resources},
            {**self.declared, **other.declared},
        )


def new_project(name: str) -> Created:
    """Return an autoscaling project, which outlives whoever deletes the deployment."""
    project = {
        "project_id": name,
        "display_name": name,
        "pg_version": 17,
        "default_endpoint_settings": dict(ENDPOINT),
        "lifecycle": dict(KEPT),
    }
    branch = "${resources.postgres_projects.memory.id}/branches/production"
    variables = _place(branch, NEW_DATABASE)
    return Created(variables, {"postgres_projects": {"memory": project}})


def new_branch(target: str, project: str, source: str, database: str) -> Created:
    """Return a branch for each developer, or for each pull request, which ends by itself."""
    branch: dict[str, Any] = {
        "parent": f"projects/{project}",
        "branch_id": f"pr-{NUMBER}" if target == PR else f"{target}-{FRIENDLY_USER}",
        "source_branch": f"projects/{project}/branches/{source}",
        "ttl": LIVES.get(target, LIVES[DEV]),
    }
    if target == PR:
        branch["purge_on_delete"] = True  # its name is free again, should the number come back
    variables = _place("${resources.postgres_branches.memory.id}", database)
    return Created(variables, {"postgres_branches": {"memory": branch}})


def new_instance(target: str, name: str) -> Created:
    """Return a provisioned instance; in development, one for each developer."""
    own = f"{name}-{target}-{FRIENDLY_USER}"
    instance: dict[str, Any] = {"name": own if target == DEV else name, "capacity": "CU_1"}
    if target != DEV:
        instance["lifecycle"] = dict(KEPT)
    reference = "${resources.database_instances.memory.name}"
    return Created({"lakebase_instance": reference}, {"database_instances": {"memory": instance}})


def new_experiment(target: str, app: str, deployer: str) -> Created:
    """Return an experiment: of the one who deploys, or in production of the first of them."""
    suffix = {DEV: f"-{DEV}", PR: f"-{PR}-{NUMBER}"}.get(target)
    name = f"/Users/{USER}/{app}{suffix}" if suffix else experiment_name(target, app, deployer)
    reference = "${resources.experiments.traces.id}"
    return Created({"experiment_id": reference}, {"experiments": {"traces": {"name": name}}})


def experiment_name(target: str, app: str, owner: str) -> str:
    """Return the name of an experiment that `link` looks up: each target has its own."""
    suffix = "" if target == "prod" else f"-{target}"
    return f"/Users/{owner}/{app}{suffix}"


def pull_request(app: str, schema: str) -> Created:
    """Return what names the app and the schema of a pull request after its number."""
    beginning = app[: APP_LENGTH - NUMBER_LENGTH - len("-pr-")].rstrip("-")
    variables = {"app_name": f"{beginning}-pr-{NUMBER}"}
    if schema:
        variables["memory_schema"] = f"{schema}_pr_{NUMBER}"
    number = {"description": "Number of the pull request.", "default": "0"}
    return Created(variables, declared={PR: number})


def _place(branch: str, database: str) -> dict[str, str]:
    return {"lakebase_branch": branch, "lakebase_database": f"{branch}/databases/{database}"}
