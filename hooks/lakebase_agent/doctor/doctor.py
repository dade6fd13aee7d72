"""`lakebase-agent doctor`: find what is wrong between a project and its workspace."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lakebase_agent.doctor.bundle_checks import check_cli, check_shared, check_variables
from lakebase_agent.doctor.deployed_checks import check_deployed
from lakebase_agent.doctor.findings import Finding, ok, problem, skipped
from lakebase_agent.doctor.lakebase_checks import check_lakebase
from lakebase_agent.doctor.linked_project import LinkedProject
from lakebase_agent.doctor.scope_checks import check_scopes
from lakebase_agent.doctor.sizes import check_database_url
from lakebase_agent.doctor.workspace_checks import (
    check_app,
    check_embeddings,
    check_experiment,
    check_state,
)
from lakebase_agent.errors import UsageError, WorkspaceError
from lakebase_agent.project.answers import read_answers
from lakebase_agent.project.bundle import read_bundle
from lakebase_agent.project.pyproject import read_settings, read_version
from lakebase_agent.targets.target import no_target, open_target, other_targets
from lakebase_agent.terminal import Asker
from lakebase_agent.workspace.client import Workspace
from lakebase_agent.workspace.signing_in import connect, pick_profile


@dataclass(frozen=True)
class Check:
    """Something to check in a workspace, and what to do if the workspace refuses."""

    name: str
    run: Callable[[LinkedProject], Iterator[Finding]]
    command: str = ""  # empty to link again


CHECKS = (
    Check("experiment", check_experiment),
    Check("embeddings", check_embeddings, "set EMBEDDING_ENDPOINT in pyproject.toml"),
    Check("lakebase", check_lakebase),
    Check("app", check_app),
    Check("state", check_state),
    Check("scopes", check_scopes, "databricks auth login"),
)

DEPLOYED = Check("ready", check_deployed, "databricks auth login")


def examine(folder: Path, target: str, profile: str, deployed: bool = False) -> Iterator[Finding]:
    """Yield what every check finds; changes nothing. With `deployed`, the running app is asked.

    Raises UsageError if `folder` is not a project, or its files are not valid.
    """
    answers, bundle = read_answers(folder), read_bundle(folder)
    chosen_target = open_target(folder, target, bundle)
    targets = [*(bundle.get("targets") or {}), *(chosen_target.linked.get("targets") or {})]
    if targets and target not in targets:
        raise UsageError(no_target(target, targets))
    others = [open_target(folder, name, bundle) for name in other_targets(folder, target)]
    yield check_cli([bundle, chosen_target.linked, *(other.linked for other in others)])
    yield from check_variables(chosen_target)
    yield from check_shared(chosen_target, others)
    settings = read_settings(folder)
    yield from check_database_url(folder, settings)
    try:
        chosen = pick_profile(folder, target, profile, answers, Asker(interactive=False))
        workspace = Workspace(connect(chosen))
        yield ok("sign-in", f"{workspace.host} as {workspace.me()}")
    except WorkspaceError as error:
        yield problem("sign-in", str(error), "databricks auth login")
        yield skipped("workspace", "can't be checked without signing in")
        return
    version = read_version(folder)
    project = LinkedProject(answers, settings, chosen_target, workspace, version, folder)
    for check in (*CHECKS, *([DEPLOYED] if deployed else [])):
        yield from _findings(check, project)


def _findings(check: Check, project: LinkedProject) -> Iterator[Finding]:
    try:
        yield from check.run(project)
    except WorkspaceError as error:
        yield problem(check.name, str(error), check.command or project.link_command)
