"""What `doctor` checks in the workspace: the experiment, the embedding endpoint, the app."""

from collections.abc import Iterator

from lakebase_agent.doctor.findings import Finding, ok, problem, warning
from lakebase_agent.doctor.linked_project import LinkedProject


def check_experiment(project: LinkedProject) -> Iterator[Finding]:
    """Yield whether the experiment exists; raises WorkspaceError."""
    if "experiment_id" not in (project.bundle.get("variables") or {}):
        return  # an adopted project has its own, or none
    wanted = project.variables.get("experiment_id", "")
    if not wanted or project.workspace.experiment(wanted) is None:
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
    if project.workspace.service_principal(project.app):
        yield ok("app", project.app)
    else:
        command = f"databricks bundle deploy --target {project.target}"
        yield warning("app", f"{project.app} is not deployed yet", command)
