"""`lakebase-agent link`: connect a project to a workspace, and write down what was looked up."""

import re
from pathlib import Path
from typing import Any

from lakebase_agent.asking import Asker
from lakebase_agent.errors import UsageError
from lakebase_agent.link.lookup import DEV, LinkOptions, LookUp, Say
from lakebase_agent.project.files import (
    read_answers,
    read_bundle,
    read_target,
    target_path,
    to_env,
    to_target,
    write_all,
)
from lakebase_agent.update.rehearsal import CURRENT
from lakebase_agent.update.update import UpdateOptions, open_update
from lakebase_agent.workspace.client import Workspace
from lakebase_agent.workspace.signing_in import connect, pick_profile

Contents = dict[Path, tuple[str, int]]  # texts and modes of files
SWITCH = "copier update --trust -d lakebase=autoscaling (or provisioned), then link again"


def link(folder: Path, options: LinkOptions, asker: Asker, say: Say) -> None:
    """Look up what the project in `folder` needs, and write it to files that `link` owns.

    A project that runs on the embedded Postgres alone gets its Lakebase first. Nothing is written
    before everything is known. Raises UsageError and WorkspaceError.
    """
    answers = read_answers(folder)
    if answers.get("lakebase") != "local" or not answers.get("memory"):
        contents = _look_up(folder, folder, options, asker, say)
        return _write(folder, contents, say)
    flavour = _flavour(asker, say)
    update = UpdateOptions({"lakebase": flavour}, CURRENT)
    with open_update(folder.resolve(), update) as rehearsal:
        if troubled := [change.path for change in rehearsal.changes() if change.troubled]:
            raise UsageError(f"your edits in {', '.join(troubled)} are in the way. Run: {SWITCH}")
        contents = _look_up(folder, rehearsal.copy, options, asker, say)
        rehearsal.bring_over()
    say(f"switched to lakebase={flavour}: look at `git diff`, and commit it")
    return _write(folder, contents, say)


def _look_up(
    folder: Path, rendered: Path, options: LinkOptions, asker: Asker, say: Say
) -> Contents:
    """Return the texts of the files to write; `rendered` has the bundle that they will be for."""
    answers, bundle = read_answers(rendered), read_bundle(rendered)
    _check(answers, options)
    profile = pick_profile(folder, options.target, options.profile, answers, asker)
    workspace = Workspace(connect(profile))
    me = workspace.me()
    say(f"signed in to {workspace.host} as {me}")
    previous = read_target(folder, options.target)
    declared = bundle.get("variables") or {}
    found = LookUp(workspace, answers, options, asker, say, previous, declared).everything(me)
    sign_in: dict[str, str | None] = {"DATABRICKS_CONFIG_PROFILE": profile or None}
    sign_in["DATABRICKS_HOST"] = None if profile else workspace.host
    text = to_target(folder, options.target, workspace.host, found.variables, bundle)
    contents = {target_path(folder, options.target): (text, 0o644)}
    if options.target == DEV:
        env = folder / ".env"
        old = env.read_text("utf-8") if env.is_file() else ""
        contents[env] = (to_env(old, {**sign_in, **found.env}), 0o600)
    if app := found.variables.get("app_name"):
        key, *_ = (bundle.get("resources") or {}).get("apps") or ["<key of the app>"]
        bind = f"databricks bundle deployment bind {key} {app} --target {options.target}"
        say(f"before the first deployment to {app}, run: {bind}")
    if experiment := found.variables.get("experiment_id"):
        say(f"traces: {workspace.host}/ml/experiments/{experiment}")
    return contents


def _write(folder: Path, contents: Contents, say: Say) -> None:
    changed = write_all(contents)
    for path in changed:
        say(f"wrote {path.relative_to(folder)}")
    if not changed:
        say("everything was in place; nothing changed")


def _flavour(asker: Asker, say: Say) -> str:
    alone = "this project runs on the embedded Postgres alone"
    if not asker.interactive:
        raise UsageError(f"{alone}. To give it a Lakebase, run: {SWITCH}")
    say(f"{alone}; Ctrl-C leaves it so")
    return asker.pick("kind of Lakebase", "", "", ["autoscaling", "provisioned"])


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
