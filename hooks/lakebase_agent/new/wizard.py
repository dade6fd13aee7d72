"""The questions of `lakebase-agent new`: the name, the framework, the memory, the workspace.

All are asked here, in one style; what the workspace has is a list to pick from. What is picked is
an answer like any other: the template never sees the list. If the template has a question that is
not known here, Copier asks it.
"""

import os
import shutil
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import questionary
from questionary import Choice

from lakebase_agent.errors import WorkspaceError
from lakebase_agent.new.form import Form
from lakebase_agent.terminal import ask
from lakebase_agent.workspace.client import Workspace
from lakebase_agent.workspace.signing_in import connect, profiles

WITHOUT = "(without a workspace)"
ELSEWHERE = "(another one)"
NAMED_BY = {
    "autoscaling": ("lakebase_project", "lakebase_branch"),
    "provisioned": ("lakebase_instance",),
}
DIMS_KNOWN = ("databricks-gte-large-en", "databricks-bge-large-en")
REMEMBERED = {
    "short_term": "conversations",
    "long_term": "facts about each user",
    "background": "answers that outlive a browser",
    "chat": "chats on a page of its own",
}


class Wizard:
    """A person's answers, those that are `given` included."""

    def __init__(self, form: Form, given: Mapping[str, Any]) -> None:
        self.form, self.answers = form, dict(given)
        self.defaults = form.filled(given)

    def ask(self) -> dict[str, Any]:
        """Return all answers; raises KeyboardInterrupt."""
        self._ask_text("app_name")
        self._choose("framework")
        self._choose_several("memory")
        self._ask_workspace()
        return self.answers

    def _ask_workspace(self) -> None:
        profile = self._pick_profile()
        workspace = _sign_in(profile) if profile is not None else None
        if workspace:
            self._pick_lakebase(workspace)
            self._pick_model(workspace)
        self._choose("lakebase")
        for name in NAMED_BY.get(str(self.answers["lakebase"]), ()):
            self._ask_text(name)
        if self.answers["lakebase"] == "local":
            self.answers.pop("profile", None)
        elif profile is not None:
            self.answers.setdefault("profile", profile)
        self._ask_text("model_endpoint")
        if "long_term" in self.answers["memory"]:
            self._ask_text("embedding_endpoint")
            if self.answers["embedding_endpoint"] not in DIMS_KNOWN:
                self._ask_text("embedding_dims")

    def _ask_text(self, name: str) -> None:
        if name in self.answers:
            return
        typed = str(self.defaults.get(name, "") or "")
        while True:
            typed = ask(questionary.text(self.form.text(name), typed)).strip()
            problem = self.form.problem(self.answers, name, typed)
            if not problem:
                break
            # questionary would cut off what does not fit in a line of the terminal.
            print(textwrap.fill(problem, shutil.get_terminal_size().columns - 1))
        self.answers[name] = typed

    def _choose(self, name: str) -> None:
        if name not in self.answers:
            choices = [Choice(text, value) for text, value in self.form.choices(name).items()]
            self.answers[name] = _select(self.form.text(name), choices)

    def _choose_several(self, name: str) -> None:
        if name in self.answers:
            return
        chosen = self.defaults[name]
        choices = [Choice(t, v, checked=v in chosen) for t, v in self.form.choices(name).items()]
        self.answers[name] = ask(questionary.checkbox(self.form.text(name), choices=choices))

    def _pick_profile(self) -> str | None:
        """Return a profile; empty to sign in from the environment, None for no workspace."""
        given = str(self.answers.get("profile", ""))
        if given or os.environ.get("DATABRICKS_HOST"):
            return given
        names = profiles()
        if not names:
            return None
        chosen = _select("Which workspace? (A profile of the Databricks CLI.)", [*names, WITHOUT])
        return None if chosen == WITHOUT else str(chosen)

    def _pick_lakebase(self, workspace: Workspace) -> None:
        if "lakebase" in self.answers:
            return
        choices = [Choice("None yet: an embedded Postgres on this machine", {"lakebase": "local"})]
        for name in _list(workspace.projects):
            answer = {"lakebase": "autoscaling", "lakebase_project": name}
            choices.append(Choice(f"Project {name} (autoscaling)", answer))
        for name in _list(workspace.instances):
            answer = {"lakebase": "provisioned", "lakebase_instance": name}
            choices.append(Choice(f"Instance {name} (provisioned)", answer))
        chosen = _select("Which Lakebase holds its memory?", [*choices, Choice(ELSEWHERE, {})])
        self.answers.update(chosen)
        if "lakebase_project" in chosen and "lakebase_branch" not in self.answers:
            names = _list(lambda: workspace.branches(str(chosen["lakebase_project"])))
            if names:
                branch = names[0] if len(names) == 1 else _select("Which branch?", names)
                self.answers["lakebase_branch"] = branch

    def _pick_model(self, workspace: Workspace) -> None:
        names = [] if "model_endpoint" in self.answers else _list(workspace.chat_endpoints)
        chosen = _select(self.form.text("model_endpoint"), [*names, ELSEWHERE]) if names else ""
        if chosen not in ("", ELSEWHERE):
            self.answers["model_endpoint"] = chosen


def confirm(folder: Path, answers: Mapping[str, Any], files: Sequence[str]) -> None:
    """Show what will be generated, and ask; raises KeyboardInterrupt if the answer is no."""
    print("\n".join(["", *summary(folder, answers, len(files)), ""]))
    if not ask(questionary.confirm("Generate it?")):
        raise KeyboardInterrupt


def summary(folder: Path, answers: Mapping[str, Any], files: int) -> list[str]:
    """Return what a person decided, in a few lines."""
    names = {"langgraph": "LangGraph", "openai": "the OpenAI Agents SDK"}
    remembered = [REMEMBERED.get(name, name) for name in answers["memory"]]
    return [
        f"  {answers['app_name']}, with {names.get(answers['framework'], answers['framework'])}",
        f"  remembers   {', '.join(remembered) or 'nothing'}",
        f"  Lakebase    {_lakebase(answers)}",
        f"  model       {answers['model_endpoint']}",
        f"  {files} files in {folder.resolve()}",
    ]


def _lakebase(answers: Mapping[str, Any]) -> str:
    if answers["lakebase"] == "local":
        return "none yet: an embedded Postgres on this machine"
    if answers["lakebase"] == "provisioned":
        return f"instance {answers.get('lakebase_instance') or '(picked by `link`)'}"
    project = answers.get("lakebase_project") or "(picked by `link`)"
    return f"project {project}, branch {answers.get('lakebase_branch')}"


def _sign_in(profile: str) -> Workspace | None:
    try:
        workspace = Workspace(connect(profile))
        print(f"Signed in to {workspace.host} as {workspace.me()}.")
    except WorkspaceError as error:
        print(f"Continuing without a workspace: {error}")
        return None
    return workspace


def _list(names: Callable[[], list[str]]) -> list[str]:
    """Return the names; none, and print why, if the workspace refuses."""
    try:
        return names()
    except WorkspaceError as error:
        print(f"No list to pick from: {error}")
        return []


def _select(question: str, choices: Sequence[str | Choice]) -> Any:
    return ask(questionary.select(question, choices=list(choices)))
