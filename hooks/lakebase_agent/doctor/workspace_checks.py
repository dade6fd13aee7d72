"""What `doctor` checks in the workspace: the experiment, the embedding endpoint, the app."""

from collections.abc import Iterator

from lakebase_agent.doctor.findings import Finding, ok, problem, skipped, warning
from lakebase_agent.doctor.lakebase_checks import NOT_YET, UNKNOWN
from lakebase_agent.doctor.linked_project import LinkedProject
from lakebase_agent.errors import WorkspaceError
from lakebase_agent.project.bundle import app_key
from lakebase_agent.targets.state import deployed_resources


def check_experiment(project: LinkedProject) -> Iterator[Finding]:
    """Yield whether the experiment exists; raises WorkspaceError."""
    if "experiment_id" not in (project.bundle_target.bundle.get("variables") or {}):
        return  # an adopted project has its own, or none
    wanted = project.variables.get("experiment_id", "")
    if not wanted and project.is_created("experiment_id"):
        yield skipped("experiment", NOT_YET)
        return
    if not wanted:
        yield skipped("experiment", UNKNOWN)
    elif project.workspace.experiment(wanted) is None:
        yield problem("experiment", f"there is no experiment {wanted!r}", project.link_command)
    else:
        yield ok("experiment", wanted)


def check_embeddings(project: LinkedProject) -> Iterator[Finding]:
    """Yield whether vectors are as long as the settings say; raises WorkspaceError."""
    if not project.remembers("long_term"):
        return
    endpoint, dims = project.settings["EMBEDDING_ENDPOINT"], project.settings["EMBEDDING_DIMS"]
    length = project.workspace.embedding_length(endpoint)
    text = f"{endpoint} returns {length} numbers, EMBEDDING_DIMS is {dims}"
    if str(length) == dims:
        yield ok("embeddings", text)
    else:
        yield problem("embeddings", text, "set EMBEDDING_DIMS in pyproject.toml")


def check_app(project: LinkedProject) -> Iterator[Finding]:
    """Yield whether the app is deployed; raises WorkspaceError."""
    if not project.app:
        yield skipped("app", UNKNOWN)
    elif project.deployed:
        yield ok("app", project.app)
    else:
        text = f"{project.app} is not deployed yet"
        yield warning("app", text, f"databricks apps deploy --target {project.target}")


def check_state(project: LinkedProject) -> Iterator[Finding]:
    """Yield whether the next deployment is one of the same app; raises WorkspaceError.

    The state says which app the target's deployments made. Another app of the name is in the way.
    """
    target, key = project.bundle_target, app_key(project.bundle_target.bundle)
    if not key or not project.app:
        return
    root = target.root_path(project.workspace.me())
    try:
        in_state = deployed_resources(project.workspace, root).get(f"apps.{key}", "")
    except WorkspaceError as error:  # it is in the folder of somebody else
        yield skipped("state", f"{root} can't be read: {error}")
        return
    if in_state and in_state != project.app:
        text = f"the next deployment makes {project.app}, and deletes {in_state} with its address"
        yield warning("state", text, f"set app_name back to {in_state}, if that is not wanted")
    elif project.deployed and not in_state:
        text = f"{project.app} exists, but not in the state of target {target.name}, {root}"
        command = f"databricks bundle deployment bind {key} {project.app} --target {target.name}"
        yield problem("state", text, command)
    elif in_state:
        yield ok("state", root)
