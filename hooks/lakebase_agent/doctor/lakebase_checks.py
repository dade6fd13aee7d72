"""What `doctor` checks of a project's Lakebase: that it exists, is awake, and what is in it."""

from collections.abc import Iterator

from databricks.sdk.service.database import DatabaseInstanceState
from databricks.sdk.service.postgres import EndpointStatusState

from lakebase_agent.doctor.database import Database, check_database
from lakebase_agent.doctor.findings import Finding, ok, problem, skipped, warning
from lakebase_agent.doctor.linked_project import LinkedProject

UNKNOWN = "the target does not say which yet"
NOT_YET = "the bundle creates it with the first deployment"


def check_lakebase(project: LinkedProject) -> Iterator[Finding]:
    """Yield the state of the branch or the instance, and what is found in its database.

    Raises WorkspaceError.
    """
    if not project.answers.get("memory"):
        return
    if "memory_schema" in project.unread:
        yield skipped("lakebase", UNKNOWN)
        return
    if project.answers["lakebase"] == "local":
        command = "copier update --trust -d lakebase=autoscaling"
        yield warning("lakebase", "this project has none yet", command)
    elif project.answers["lakebase"] == "provisioned":
        yield from _check_instance(project)
    else:
        yield from _check_branch(project)


def _check_branch(project: LinkedProject) -> Iterator[Finding]:
    path = project.variables.get("lakebase_branch", "")
    if not path:
        yield skipped("lakebase", NOT_YET if project.is_created("lakebase_branch") else UNKNOWN)
        return
    branch = project.workspace.branch_at(path)
    if branch.database != project.variables.get("lakebase_database", branch.database):
        text = f"the database of {branch.name} is {branch.database}, the bundle has another"
        yield problem("lakebase", text, project.link_command)
    state, host = project.workspace.endpoint_state(branch.endpoint)
    yield _endpoint_finding(branch.endpoint, state)
    if not host:
        yield skipped("role", "an endpoint that is starting has no host yet")
        return
    token = project.workspace.endpoint_token(branch.endpoint)
    yield from check_database(_database(project, host, token))


def _endpoint_finding(endpoint: str, state: EndpointStatusState | None) -> Finding:
    if state == EndpointStatusState.IDLE:
        return ok("lakebase", f"{endpoint} is asleep, and wakes up when it is used")
    if state == EndpointStatusState.ACTIVE:
        return ok("lakebase", f"{endpoint} is awake")
    return warning("lakebase", f"{endpoint} is {state.value if state else '?'}", "wait")


def _check_instance(project: LinkedProject) -> Iterator[Finding]:
    name = project.variables.get("lakebase_instance", "")
    if not name:
        yield skipped("lakebase", NOT_YET if project.is_created("lakebase_instance") else UNKNOWN)
        return
    state, host = project.workspace.instance_state(name)
    if state != DatabaseInstanceState.AVAILABLE:
        yield problem("lakebase", f"{name} is {state.value if state else '?'}", "start it, or wait")
        return
    yield ok("lakebase", f"instance {name} is available")
    token = project.workspace.instance_token(name)
    yield from check_database(_database(project, host, token))


def _database(project: LinkedProject, host: str, token: str) -> Database:
    workspace, app = project.workspace, project.deployed
    apps = workspace.apps_by_principal().items()
    return Database(
        host=host,
        user=workspace.me(),
        token=token,
        schema=project.variables.get("memory_schema", ""),
        principal=(app.service_principal_client_id or "") if app else "",
        other_apps={principal: name for principal, name in apps if name != project.app},
        dims=project.settings.get("EMBEDDING_DIMS", "") if project.remembers("long_term") else "",
        target=project.target,
        settings=project.settings,
    )
