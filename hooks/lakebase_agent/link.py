"""`lakebase-agent link`: connect a project to a workspace, and write down what was looked up."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from copier import VcsRef, run_update
from copier.errors import UserMessageError
from databricks.sdk.service.apps import AppResource
from plumbum import ProcessExecutionError

from lakebase_agent.asking import NEW, Asker
from lakebase_agent.errors import UsageError, WorkspaceError
from lakebase_agent.project_files import (
    read_answers,
    read_bundle,
    read_target,
    target_path,
    to_env,
    to_target,
    write_all,
)
from lakebase_agent.schemas import personal_schema
from lakebase_agent.signing_in import connect, profiles
from lakebase_agent.workspace import Workspace

Say = Callable[[str], None]
DEV = "dev"
INSTANCE_OF_ENV = "LAKEBASE_INSTANCE_NAME"
BRANCH_OF_ENV = ("LAKEBASE_AUTOSCALING_PROJECT", "LAKEBASE_AUTOSCALING_BRANCH")


@dataclass(frozen=True)
class LinkOptions:
    """What was given on the command line; empty where it was not."""

    profile: str = ""
    project: str = ""
    branch: str = ""
    instance: str = ""
    create_project: str = ""
    experiment: str = ""
    app: str = ""
    target: str = DEV


@dataclass(frozen=True)
class Found:
    """What was looked up: variables of the bundle, and of the local environment."""

    variables: dict[str, str] = field(default_factory=dict)
    env: dict[str, str | None] = field(default_factory=dict)


def link(folder: Path, options: LinkOptions, asker: Asker, say: Say) -> None:
    """Look up what the project in `folder` needs, and write it to files that `link` owns.

    Nothing is written before everything is known. Raises UsageError and WorkspaceError.
    """
    answers = read_answers(folder)
    if answers.get("lakebase") == "local" and answers.get("memory"):
        _give_lakebase(folder, asker, say)
        answers = read_answers(folder)
    _check(answers, options)
    profile = _profile(options, answers, asker)
    workspace = Workspace(connect(profile))
    me = workspace.me()
    say(f"signed in to {workspace.host} as {me}")
    previous = read_target(folder, options.target)
    traced = "experiment_id" in (read_bundle(folder).get("variables") or {})
    steps = _Steps(workspace, answers, options, asker, say, previous, traced)
    found = steps.look_up(me)
    sign_in: dict[str, str | None] = {"DATABRICKS_CONFIG_PROFILE": profile or None}
    sign_in["DATABRICKS_HOST"] = None if profile else workspace.host
    text = to_target(folder, options.target, workspace.host, found.variables)
    contents = {target_path(folder, options.target): (text, 0o644)}
    if options.target == DEV:
        env = folder / ".env"
        old = env.read_text("utf-8") if env.is_file() else ""
        contents[env] = (to_env(old, {**sign_in, **found.env}), 0o600)
    changed = write_all(contents)
    _summary(say, folder, changed, workspace.host, found)


def _give_lakebase(folder: Path, asker: Asker, say: Say) -> None:
    """Switch a project from the embedded Postgres to the flavour that the person picks.

    Raises UsageError when nobody is here, and when Copier can't update the project.
    """
    command = "copier update --trust -d lakebase=autoscaling (or provisioned), then link again"
    alone = "this project runs on the embedded Postgres alone"
    if not asker.interactive:
        raise UsageError(f"{alone}. To give it a Lakebase, run: {command}")
    say(f"{alone}; Ctrl-C leaves it so")
    flavour = asker.pick("kind of Lakebase", "", "", ["autoscaling", "provisioned"])
    how: dict[str, Any] = {"defaults": True, "overwrite": True, "quiet": True, "unsafe": True}
    try:
        run_update(folder, {"lakebase": flavour}, vcs_ref=VcsRef.CURRENT, **how)
    except (UserMessageError, ProcessExecutionError) as error:
        why = error.message if isinstance(error, UserMessageError) else error.stderr.strip()
        raise UsageError(f"Copier can't update this project: {why} Or run: {command}") from error
    say(f"switched to lakebase={flavour}: look at `git diff`, and commit it")


def _check(answers: dict[str, Any], options: LinkOptions) -> None:
    flavour = answers.get("lakebase")
    wrong = {
        "autoscaling": [("--instance", options.instance)],
        "provisioned": [
            ("--project", options.project),
            ("--branch", options.branch),
            ("--create-project", options.create_project),
        ],
    }
    for flag, value in wrong.get(str(flavour), []):
        if value:
            raise UsageError(f"{flag} is not for a project with lakebase={flavour}")
    if not re.fullmatch("[a-z][a-z0-9_-]{0,30}", options.target):
        raise UsageError(f"--target {options.target!r} is not the name of a target, such as prod")


def _profile(options: LinkOptions, answers: dict[str, Any], asker: Asker) -> str:
    given = options.profile or str(answers.get("profile") or "")
    if given or not asker.interactive:
        return given
    names = profiles()
    return asker.pick("profile", "--profile", "", names) if len(names) > 1 else ""


@dataclass(frozen=True)
class _Steps:
    workspace: Workspace
    answers: dict[str, Any]
    options: LinkOptions
    asker: Asker
    say: Say
    previous: dict[str, str]
    traced: bool  # an adopted project may have an experiment of its own

    def look_up(self, me: str) -> Found:
        """Return everything; the order is that of the questions."""
        found = Found()
        bound = self._resources_of_app(found)
        if self.answers.get("memory"):
            autoscaling = self.answers["lakebase"] == "autoscaling"
            self._autoscaling(found, bound) if autoscaling else self._provisioned(found, bound)
            schema = f"{self.answers['memory_schema']}_{DEV}_"
            found.env["LAKEBASE_AGENT_MEMORY_SCHEMA"] = personal_schema(schema, me)
        if self.traced:
            self._experiment(found, bound, me)
        return found

    def _resources_of_app(self, found: Found) -> list[AppResource]:
        if not self.options.app:
            return []
        app = self.workspace.app(self.options.app)
        found.variables["app_name"] = self.options.app
        return app.resources or []

    def _autoscaling(self, found: Found, bound: list[AppResource]) -> None:
        paths = [r.postgres.branch for r in bound if r.postgres and r.postgres.branch]
        known = (paths or [self.previous.get("lakebase_branch", "")])[0]
        project, branch = _parts(str(known))
        answered = str(self.answers.get("lakebase_project") or "")
        if self.options.create_project:
            self.workspace.create_project(self.options.create_project, self.say)
        given = self.options.create_project or self.options.project or project or answered
        project, fresh = self._project(given), given != project
        default = str(self.answers.get("lakebase_branch") or "")
        wanted = self.options.branch or ("" if fresh else branch) or default
        branches = self.workspace.branches(project)
        branch = self.asker.pick("branch", "--branch", wanted, branches)
        place = self.workspace.branch(project, branch)
        found.variables["lakebase_branch"] = place.name
        found.variables["lakebase_database"] = place.database
        # What names another place would contradict it.
        found.env.update(dict.fromkeys((*BRANCH_OF_ENV, INSTANCE_OF_ENV)))
        found.env["LAKEBASE_AUTOSCALING_ENDPOINT"] = place.endpoint
        self.say(f"database {place.database}")

    def _project(self, given: str) -> str:
        names = self.workspace.projects()
        offered = [*names, NEW] if self.asker.interactive and not given else names
        project = self.asker.pick("project", "--project", given, offered)
        if project == NEW:
            project = self.asker.text("Its id?", str(self.answers["app_name"]))
            self.workspace.create_project(project, self.say)
        return project

    def _provisioned(self, found: Found, bound: list[AppResource]) -> None:
        names = [r.database.instance_name for r in bound if r.database]
        known = (names or [self.previous.get("lakebase_instance", "")])[0]
        given = self.options.instance or known or str(self.answers.get("lakebase_instance") or "")
        name = self.asker.pick("instance", "--instance", given, self.workspace.instances())
        found.variables["lakebase_instance"] = name
        found.env.update(dict.fromkeys(("LAKEBASE_AUTOSCALING_ENDPOINT", *BRANCH_OF_ENV)))
        found.env[INSTANCE_OF_ENV] = name
        self.say(f"instance {name}")

    def _experiment(self, found: Found, bound: list[AppResource], me: str) -> None:
        ids = [r.experiment.experiment_id for r in bound if r.experiment]
        known = (ids or [self.previous.get("experiment_id", "")])[0]
        name = f"/Users/{me}/{self.answers['app_name']}"
        wanted = self.options.experiment or known or name
        experiment = self.workspace.experiment(wanted)
        if experiment is None and self.options.experiment:
            raise WorkspaceError(
                f"there is no experiment {wanted!r}: give its id, or its full name"
            )
        if experiment is None:
            self.say(f"creating the experiment {name}")
            experiment = self.workspace.experiment(name) or self.workspace.create_experiment(name)
        found.variables["experiment_id"] = experiment
        found.env["MLFLOW_EXPERIMENT_ID"] = experiment


def _parts(path: str) -> tuple[str, str]:
    match = re.fullmatch("projects/([^/]+)/branches/([^/]+)", path)
    return (match[1], match[2]) if match else ("", "")


def _summary(say: Say, folder: Path, changed: list[Path], host: str, found: Found) -> None:
    for path in changed:
        say(f"wrote {path.relative_to(folder)}")
    if not changed:
        say("everything was in place; nothing changed")
    if experiment := found.variables.get("experiment_id"):
        say(f"traces: {host}/ml/experiments/{experiment}")
