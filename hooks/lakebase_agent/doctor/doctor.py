"""`lakebase-agent doctor`: what is wrong between a project and its workspace, and what mends it."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from databricks.sdk.service.database import DatabaseInstanceState
from databricks.sdk.service.postgres import EndpointStatusState

from lakebase_agent.asking import Asker
from lakebase_agent.doctor.database import Database, examine_database
from lakebase_agent.doctor.findings import Finding, ok, problem, skipped, warning
from lakebase_agent.errors import WorkspaceError
from lakebase_agent.link.lookup import DEV
from lakebase_agent.project.files import read_answers, read_bundle, read_defaults, read_target
from lakebase_agent.workspace.client import Workspace
from lakebase_agent.workspace.signing_in import connect, pick_profile

DEPLOY = "databricks bundle deploy"
INSTALL_CLI = "https://docs.databricks.com/dev-tools/cli/install.html"


@dataclass(frozen=True)
class Patient:
    """The project that is examined, and the workspace it belongs to."""

    answers: dict[str, Any]
    bundle: dict[str, Any]
    defaults: dict[str, str]
    target: str
    variables: dict[str, str]
    workspace: Workspace

    @property
    def link(self) -> str:
        """The command that looks things up for this target."""
        return link_command(self.target)


def link_command(target: str) -> str:
    """Return the command that looks things up for a target."""
    return "lakebase-agent link" + (f" --target {target}" if target != DEV else "")


def examine(folder: Path, target: str, profile: str) -> Iterator[Finding]:
    """Yield what every check finds; changes nothing. Raises UsageError for no project."""
    answers, bundle = read_answers(folder), read_bundle(folder)
    yield _cli(bundle)
    declared = ((bundle.get("targets") or {}).get(target) or {}).get("variables") or {}
    known = {name: str(answers[name]) for name in ("app_name", "memory_schema") if name in answers}
    variables = {**known, **declared, **read_target(folder, target)}
    yield _variables(bundle, variables, target)
    try:
        chosen = pick_profile(folder, target, profile, answers, Asker(interactive=False))
        workspace = Workspace(connect(chosen))
        yield ok("sign-in", f"{workspace.host} as {workspace.me()}")
    except WorkspaceError as error:
        yield problem("sign-in", str(error), "databricks auth login")
        yield skipped("workspace", "nothing more can be asked")
        return
    defaults = read_defaults(folder)
    patient = Patient(answers, bundle, defaults, target, variables, workspace)
    for check in (_experiment, _embeddings, _lakebase, _app):
        yield from _guarded(check, patient)


def _guarded(check: Callable[[Patient], Iterator[Finding]], patient: Patient) -> Iterator[Finding]:
    try:
        yield from check(patient)
    except WorkspaceError as error:
        command = (
            "set EMBEDDING_ENDPOINT in pyproject.toml" if check is _embeddings else patient.link
        )
        yield problem(check.__name__.strip("_"), str(error), command)


def _cli(bundle: dict[str, Any]) -> Finding:
    if not (program := shutil.which("databricks")):
        return problem("cli", "the Databricks CLI is not installed", INSTALL_CLI)
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+\.\d+", done.stdout)
    wanted = re.search(r"\d+\.\d+\.\d+", str(bundle["bundle"].get("databricks_cli_version", "")))
    if not found:
        return warning("cli", f"{program} does not say its version", INSTALL_CLI)
    if wanted and _numbers(found[0]) < _numbers(wanted[0]):
        return problem("cli", f"version {found[0]} is older than {wanted[0]}", INSTALL_CLI)
    return ok("cli", f"version {found[0]}")


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def _variables(bundle: dict[str, Any], given: dict[str, str], target: str) -> Finding:
    declared = (bundle.get("variables") or {}).items()
    missing = [
        name for name, how in declared if not given.get(name) and "default" not in (how or {})
    ]
    if missing:
        text = f"target {target} has no {', '.join(missing)}"
        return problem("bundle", text, link_command(target))
    if not bundle["bundle"]:
        return skipped("bundle", "the project has no databricks.yml")
    return ok("bundle", f"target {target} has every variable")


def _experiment(patient: Patient) -> Iterator[Finding]:
    if "experiment_id" not in (patient.bundle.get("variables") or {}):
        return  # an adopted project has its own, or none
    wanted = patient.variables.get("experiment_id", "")
    if not wanted or patient.workspace.experiment(wanted) is None:
        yield problem("experiment", f"there is no experiment {wanted!r}", patient.link)
    else:
        yield ok("experiment", wanted)


def _embeddings(patient: Patient) -> Iterator[Finding]:
    if "long_term" not in patient.answers.get("memory", []):
        return
    endpoint, dims = patient.defaults["EMBEDDING_ENDPOINT"], patient.defaults["EMBEDDING_DIMS"]
    length = patient.workspace.embedding_length(endpoint)
    text = f"{endpoint} returns {length} numbers, EMBEDDING_DIMS is {dims}"
    if str(length) == dims:
        yield ok("embeddings", text)
    else:
        yield problem("embeddings", text, "set EMBEDDING_DIMS in pyproject.toml")


def _lakebase(patient: Patient) -> Iterator[Finding]:
    if not patient.answers.get("memory"):
        return
    if patient.answers["lakebase"] == "local":
        command = "copier update --trust -d lakebase=autoscaling"
        yield warning("lakebase", "this project has none yet", command)
        return
    check = _instance if patient.answers["lakebase"] == "provisioned" else _branch
    yield from check(patient)


def _branch(patient: Patient) -> Iterator[Finding]:
    place = patient.workspace.place(str(patient.variables.get("lakebase_branch", "")))
    if place.database != patient.variables.get("lakebase_database"):
        text = f"the database of {place.name} is {place.database}, the bundle has another"
        yield problem("lakebase", text, patient.link)
    state, host = patient.workspace.endpoint_state(place.endpoint)
    if state == EndpointStatusState.IDLE:
        yield ok("lakebase", f"{place.endpoint} sleeps, and wakes when it is used")
    elif state == EndpointStatusState.ACTIVE:
        yield ok("lakebase", f"{place.endpoint} is awake")
    else:
        yield warning("lakebase", f"{place.endpoint} is {state.value if state else '?'}", "wait")
    if not host:
        yield skipped("role", "an endpoint that starts has no host yet")
        return
    token = patient.workspace.endpoint_token(place.endpoint)
    yield from _database(patient, host, token)


def _instance(patient: Patient) -> Iterator[Finding]:
    name = str(patient.variables.get("lakebase_instance", ""))
    state, host = patient.workspace.instance_state(name)
    if state != DatabaseInstanceState.AVAILABLE:
        yield problem("lakebase", f"{name} is {state.value if state else '?'}", "start it, or wait")
        return
    yield ok("lakebase", f"instance {name} is available")
    yield from _database(patient, host, patient.workspace.instance_token(name))


def _database(patient: Patient, host: str, token: str) -> Iterator[Finding]:
    workspace, app = patient.workspace, str(patient.variables.get("app_name", ""))
    long_term = "long_term" in patient.answers.get("memory", [])
    place = Database(
        host=host,
        user=workspace.me(),
        token=token,
        schema=str(patient.variables.get("memory_schema", "")),
        principal=workspace.service_principal(app),
        others=workspace.principals(besides=app),
        dims=patient.defaults.get("EMBEDDING_DIMS", "") if long_term else "",
        target=patient.target,
    )
    yield from examine_database(place)


def _app(patient: Patient) -> Iterator[Finding]:
    name = str(patient.variables.get("app_name", ""))
    command = f"{DEPLOY} --target {patient.target}"
    if patient.workspace.service_principal(name):
        yield ok("app", name)
    else:
        yield warning("app", f"{name} is not deployed yet", command)
