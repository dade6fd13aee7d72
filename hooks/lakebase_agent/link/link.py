"""`lakebase-agent link`: connect a project to a workspace, and write down what was looked up."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakebase_agent.errors import UsageError
from lakebase_agent.link.created import PR
from lakebase_agent.link.lookup import LookUp
from lakebase_agent.link.options import LinkOptions, LinkValues
from lakebase_agent.project.answers import read_answers
from lakebase_agent.project.bundle import DEV, app_key, read_bundle, target_path
from lakebase_agent.project.changes import Replacement, write_together
from lakebase_agent.project.env_file import env_text, set_variables
from lakebase_agent.targets.target import (
    CREATED,
    Target,
    no_target,
    open_target,
    other_targets,
    own_path,
)
from lakebase_agent.targets.target_file import TargetSettings, to_target
from lakebase_agent.terminal import Asker, Say
from lakebase_agent.workspace.client import Workspace
from lakebase_agent.workspace.signing_in import connect, pick_profile

SWITCH = "copier update --trust -d lakebase=autoscaling (or provisioned), then link again"


def link(folder: Path, options: LinkOptions, asker: Asker, say: Say) -> None:
    """Look up what the project in `folder` needs, and write it to the files that `link` owns.

    A project without a Lakebase gets one first. Nothing is written before everything is found.
    Raises UsageError, WorkspaceError, and KeyboardInterrupt.
    """
    answers = read_answers(folder)
    if answers.get("lakebase") != "local" or not answers.get("memory"):
        changes = _look_up(folder, folder, options, asker, say)
    else:
        changes = _switch_and_look_up(folder, options, asker, say)
    if changes:
        write_together(folder, changes)
    for name in changes:
        say(f"wrote {name}")
    if not changes:
        say("everything is up to date; nothing changed")


def _switch_and_look_up(
    folder: Path, options: LinkOptions, asker: Asker, say: Say
) -> dict[str, Replacement]:
    """Update the project to a flavour of Lakebase that a person picks, then look it up."""
    # Imports Copier, which takes a third of a second.
    from lakebase_agent.update.rehearsal import CURRENT
    from lakebase_agent.update.update import UpdateOptions, open_update

    flavour = _pick_flavour(asker, say)
    update = UpdateOptions({"lakebase": flavour}, CURRENT)
    with open_update(folder.resolve(), update) as rehearsal:
        if conflicts := [change.path for change in rehearsal.changes() if change.troubled]:
            files = ", ".join(conflicts)
            raise UsageError(f"your edits in {files} conflict with it. Run: {SWITCH}")
        changes = _look_up(folder, rehearsal.copy, options, asker, say)
        rehearsal.bring_over()
    say(f"switched to lakebase={flavour}: look at `git diff`, and commit it")
    return changes


def _pick_flavour(asker: Asker, say: Say) -> str:
    only_local = "this project has no Lakebase, only an embedded Postgres"
    if not asker.interactive:
        raise UsageError(f"{only_local}. To give it one, run: {SWITCH}")
    say(f"{only_local}; press Ctrl-C to keep it that way")
    return asker.pick("kind of Lakebase", "", "", ["autoscaling", "provisioned"])


def _look_up(
    folder: Path, rendered: Path, options: LinkOptions, asker: Asker, say: Say
) -> dict[str, Replacement]:
    """Return the files to write in `folder`, for the bundle and the answers in `rendered`."""
    answers, bundle = read_answers(rendered), read_bundle(rendered)
    _check(options, answers, bundle)
    profile = pick_profile(folder, options.target, options.profile, answers, asker)
    workspace = Workspace(connect(profile))
    me = workspace.me()
    say(f"signed in to {workspace.host} as {me}")
    target = open_target(folder, options.target, bundle)
    others = [open_target(folder, name, bundle) for name in other_targets(folder, options.target)]
    declared = bundle.get("variables") or {}
    found = LookUp(workspace, answers, options, asker, say, target, others, declared)
    values = found.everything(me)
    place = {"DATABRICKS_CONFIG_PROFILE": profile or None}
    host = None if profile else workspace.host
    values.env = {**place, "DATABRICKS_HOST": host, **values.env}
    _say_next(values, bundle, options, workspace.host, say)
    return _changes(folder, target, workspace.host, values)


def _changes(folder: Path, target: Target, host: str, values: LinkValues) -> dict[str, Replacement]:
    """Return the files that change, by name; only a developer's own target has a .env."""
    path, name = target_path(folder, target.name), target.name
    settings = TargetSettings(
        host, values.variables, values.root_path, values.resources, values.declared
    )
    changes = {
        path.name: Replacement(_read(path), to_target(folder, name, settings, target.bundle))
    }
    if values.own:
        own = folder / own_path(name)
        changes[own_path(name)] = Replacement(_read(own), _to_json({**target.own, **values.own}))
    if name == DEV:
        old = env_text(folder)
        changes[".env"] = Replacement(old, set_variables(old or "", values.env), mode=0o600)
    return {name: change for name, change in changes.items() if change.old != change.new}


def _to_json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


def _say_next(
    values: LinkValues, bundle: Mapping[str, Any], options: LinkOptions, host: str, say: Say
) -> None:
    if options.target not in (DEV, PR) and values.root_path:
        say(f"its one state is in {values.root_path}, whoever deploys it")
    if own := values.own.get("app_name"):
        say(f"your own app of target {options.target} is {own}")
    app = values.variables.get("app_name")
    if app and options.target != PR:
        key = app_key(bundle) or "<key of the app>"
        bind = f"databricks bundle deployment bind {key} {app} --target {options.target}"
        say(f"before the first deployment to {app}, run: {bind}")
    experiment = values.variables.get("experiment_id", CREATED)
    if not experiment.startswith(CREATED):
        say(f"traces: {host}/ml/experiments/{experiment}")


def _check(options: LinkOptions, answers: Mapping[str, Any], bundle: Mapping[str, Any]) -> None:
    """Raise UsageError for options that are not for this project."""
    _check_target(options, bundle)
    flavour = answers.get("lakebase")
    wrong = {
        "autoscaling": {"--instance": options.instance},
        "provisioned": {
            "--project": options.project,
            "--branch": options.branch,
            "--create-project": options.create_project,
        },
    }
    for flag, value in wrong.get(str(flavour), {}).items():
        if value:
            raise UsageError(f"{flag} is not for a project with lakebase={flavour}")


def _check_target(options: LinkOptions, bundle: Mapping[str, Any]) -> None:
    if not re.fullmatch("[a-z][a-z0-9_-]{0,30}", options.target):
        raise UsageError(f"--target {options.target!r} is not the name of a target, such as prod")
    targets = list(bundle.get("targets") or {})
    if bundle["bundle"] and options.target not in (*targets, PR):
        raise UsageError(
            f"{no_target(options.target, targets)}. "
            "Or add it there first, with its app_name and memory_schema"
        )
