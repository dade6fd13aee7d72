"""The questions of `lakebase-agent new` whose choices come from a workspace, and the preview.

If no workspace can be reached, Copier asks the same questions without a list to pick from. What is
picked is an answer like any other: the template never sees the list.
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


def pick_answers(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return `given`, and what a person picks from a workspace; raises KeyboardInterrupt."""
    answers = dict(given)
    profile = _pick_profile(str(given.get("profile", "")))
    workspace = _sign_in(profile) if profile is not None else None
    if workspace is None:
        return answers
    if "lakebase" not in given:
        answers.update(_pick_lakebase(workspace))
    if answers.get("lakebase") == "autoscaling" and "lakebase_project" in answers:
        answers.update(_pick_branch(workspace, answers))
    if "model_endpoint" not in given:
        answers.update(_pick_model(workspace))
    if answers.get("lakebase", "local") != "local" and profile:
        answers["profile"] = profile
    return answers


def confirm(folder: Path, answers: Mapping[str, Any], files: Sequence[str]) -> None:
    """Show what will be generated, and ask; raises KeyboardInterrupt if the answer is no."""
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
    """Return lines of at most `columns` characters that list the files, folder by folder."""
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


def _pick_profile(given: str) -> str | None:
    """Return a profile; empty to sign in from the environment, None to do without a workspace."""
    if given or os.environ.get("DATABRICKS_HOST"):
        return given
    names = profiles()
    if not names:
        return None
    chosen = _select("Which workspace? (A profile of the Databricks CLI.)", [*names, WITHOUT])
    return None if chosen == WITHOUT else str(chosen)


def _sign_in(profile: str) -> Workspace | None:
    try:
        workspace = Workspace(connect(profile))
        print(f"Signed in to {workspace.host} as {workspace.me()}.")
    except WorkspaceError as error:
        print(f"Continuing without a workspace: {error}")
        return None
    return workspace


def _pick_lakebase(workspace: Workspace) -> dict[str, Any]:
    """Return the flavour of Lakebase and which one, or nothing if Copier should ask."""
    choices = [Choice("None yet: an embedded Postgres on this machine", {"lakebase": "local"})]
    for name in _list(workspace.projects):
        answer = {"lakebase": "autoscaling", "lakebase_project": name}
        choices.append(Choice(f"Project {name} (autoscaling)", answer))
    for name in _list(workspace.instances):
        answer = {"lakebase": "provisioned", "lakebase_instance": name}
        choices.append(Choice(f"Instance {name} (provisioned)", answer))
    chosen: dict[str, Any] = _select(
        "Which Lakebase holds its memory?", [*choices, Choice(ELSEWHERE, {})]
    )
    return chosen


def _pick_branch(workspace: Workspace, answers: Mapping[str, Any]) -> dict[str, Any]:
    names = _list(lambda: workspace.branches(str(answers["lakebase_project"])))
    if "lakebase_branch" in answers or not names:
        return {}
    branch = names[0] if len(names) == 1 else _select("Which branch?", names)
    return {"lakebase_branch": branch}


def _pick_model(workspace: Workspace) -> dict[str, Any]:
    names = _list(workspace.chat_endpoints)
    if not names:
        return {}
    chosen = _select("Which serving endpoint answers?", [*names, ELSEWHERE])
    return {} if chosen == ELSEWHERE else {"model_endpoint": chosen}


def _list(names: Callable[[], list[str]]) -> list[str]:
    """Return the names; none, and print why, if the workspace refuses."""
    try:
        return names()
    except WorkspaceError as error:
        print(f"No list to pick from: {error}")
        return []


def _select(question: str, choices: Sequence[str | Choice]) -> Any:
    return questionary.select(question, choices=list(choices)).unsafe_ask()
