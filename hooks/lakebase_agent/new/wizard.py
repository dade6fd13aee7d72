"""The questions of `lakebase-agent new` that a workspace can answer, and the preview.

Where no workspace can be reached, Copier asks the same questions without a list to pick from. What
is picked is an answer like any other: the template never sees the list.
"""

import os
import shutil
import textwrap
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import questionary
from questionary import Choice

from lakebase_agent.errors import WorkspaceError
from lakebase_agent.workspace.client import Workspace
from lakebase_agent.workspace.signing_in import connect, profiles

WITHOUT = "(without a workspace)"
ELSEWHERE = "(another one)"


def pick(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return `given`, and what a person picks from a workspace. Raises KeyboardInterrupt."""
    answers = dict(given)
    profile = _profile(str(given.get("profile", "")))
    workspace = _workspace(profile) if profile is not None else None
    if workspace is None:
        return answers
    if "lakebase" not in given:
        answers |= _lakebase(workspace)
    if answers.get("lakebase") == "autoscaling" and "lakebase_project" in answers:
        answers |= _branch(workspace, answers)
    if "model_endpoint" not in given:
        answers |= _model(workspace)
    if answers.get("lakebase", "local") != "local" and profile:
        answers["profile"] = profile
    return answers


def agree(folder: Path, answers: Mapping[str, Any], files: Sequence[str]) -> None:
    """Show what will be generated; raises KeyboardInterrupt if it should not be."""
    print(f"\n{folder.resolve()} will have {len(files)} files:\n")
    for line in preview(files, shutil.get_terminal_size().columns):
        print(line)
    print()
    for key, value in answers.items():
        print(f"  {key}: {', '.join(value) if isinstance(value, list) else value}")
    print()
    if not questionary.confirm("Generate it?").unsafe_ask():
        raise KeyboardInterrupt


def preview(files: Sequence[str], columns: int) -> list[str]:
    """Return lines that name the files, a paragraph for each folder."""
    folders = defaultdict(list)
    for name in files:
        folder, _, base = name.rpartition("/")
        folders[folder].append(base)
    lines = []
    for folder, names in folders.items():
        text = f"{folder or '.'}/  {'  '.join(names)}"
        lines += textwrap.wrap(
            text, columns, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False
        )
    return lines


def _profile(given: str) -> str | None:
    """Return a profile, empty for what the environment says, None for no workspace."""
    if given or os.environ.get("DATABRICKS_HOST"):
        return given
    names = profiles()
    if not names:
        return None
    chosen = _select("Which workspace? (A profile of the Databricks CLI.)", [*names, WITHOUT])
    return None if chosen == WITHOUT else str(chosen)


def _workspace(profile: str) -> Workspace | None:
    try:
        workspace = Workspace(connect(profile))
        print(f"Signed in to {workspace.host} as {workspace.me()}.")
        return workspace
    except WorkspaceError as error:
        print(f"Going on without a workspace: {error}")
        return None


def _lakebase(workspace: Workspace) -> dict[str, Any]:
    """Return the flavour that a person picks and which one, or nothing to have Copier ask."""
    choices = [Choice("None yet: an embedded Postgres on this machine", {"lakebase": "local"})]
    for name in _found(workspace.projects):
        answer = {"lakebase": "autoscaling", "lakebase_project": name}
        choices.append(Choice(f"Project {name} (autoscaling)", answer))
    for name in _found(workspace.instances):
        answer = {"lakebase": "provisioned", "lakebase_instance": name}
        choices.append(Choice(f"Instance {name} (provisioned)", answer))
    chosen: dict[str, Any] = _select(
        "Which Lakebase holds its memory?", [*choices, Choice(ELSEWHERE, {})]
    )
    return chosen


def _branch(workspace: Workspace, answers: Mapping[str, Any]) -> dict[str, Any]:
    names = _found(lambda: workspace.branches(str(answers["lakebase_project"])))
    if "lakebase_branch" in answers or not names:
        return {}
    return {"lakebase_branch": names[0] if len(names) == 1 else _select("Which branch?", names)}


def _model(workspace: Workspace) -> dict[str, Any]:
    names = _found(workspace.chat_endpoints)
    chosen = _select("Which serving endpoint answers?", [*names, ELSEWHERE]) if names else ELSEWHERE
    return {} if chosen == ELSEWHERE else {"model_endpoint": chosen}


def _found(look_up: Callable[[], list[str]]) -> list[str]:
    """Return what a look-up finds; nothing, and why, when the workspace refuses."""
    try:
        return look_up()
    except WorkspaceError as error:
        print(f"That can't be looked up: {error}")
        return []


def _select(question: str, choices: Sequence[str | Choice]) -> Any:
    return questionary.select(question, choices=list(choices)).unsafe_ask()
