"""`lakebase-agent link`: connect a project to a workspace, and write down what was looked up."""

import re
from pathlib import Path
from typing import Any

from copier import VcsRef, run_update
from copier.errors import UserMessageError
from plumbum import ProcessExecutionError

from lakebase_agent.asking import Asker
from lakebase_agent.errors import UsageError
from lakebase_agent.lookup import DEV, Found, LinkOptions, LookUp, Say
from lakebase_agent.project_files import (
    read_answers,
    read_bundle,
    read_target,
    target_path,
    to_env,
    to_target,
    write_all,
)
from lakebase_agent.signing_in import connect, profiles
from lakebase_agent.workspace import Workspace


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
    look_up = LookUp(workspace, answers, options, asker, say, previous, traced)
    found = look_up.everything(me)
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


def _summary(say: Say, folder: Path, changed: list[Path], host: str, found: Found) -> None:
    for path in changed:
        say(f"wrote {path.relative_to(folder)}")
    if not changed:
        say("everything was in place; nothing changed")
    if experiment := found.variables.get("experiment_id"):
        say(f"traces: {host}/ml/experiments/{experiment}")
