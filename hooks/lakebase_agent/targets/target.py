"""A target of a project's bundle: its variables and paths, as the Databricks CLI reads them."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lakebase_agent.errors import UsageError
from lakebase_agent.nearest import nearest
from lakebase_agent.project.bundle import TARGET_FILES, target_path
from lakebase_agent.project.yaml_documents import read_first_document

# What the bundle gives a variable that no `link` has set; the CLI's error then says what to run.
NOT_LINKED = "${var.this-target-is-not-linked--run-lakebase-agent-link}"
CREATED = "${resources."  # how a value begins that is known once the bundle has created something
REFERENCE = re.compile(r"\$\{([\w.-]+)\}")
DEPTH = 5  # of references to references


@dataclass(frozen=True)
class Target:
    """A target; `own` are the variables that hold for one person only, who alone has their file."""

    name: str
    bundle: Mapping[str, Any]
    linked: Mapping[str, Any] = field(default_factory=dict)  # all of workspace.<target>.yml
    own: Mapping[str, Any] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """The value of each variable that has one; what others refer to is filled in if it can."""
        values = self._values()
        facts = {f"var.{name}": value for name, value in values.items()}
        facts |= {"bundle.name": self._bundle_name, "bundle.target": self.name}
        return {name: filled_in(value, facts) for name, value in values.items()}

    @property
    def looked_up(self) -> set[str]:
        """The variables whose values the Databricks CLI looks up, and nobody else knows."""
        declared = [(document.get("variables") or {}) for document in self._documents]
        given = [self._sections("variables", document) for document in self._documents]
        return {
            name
            for variables in (*declared, *given)
            for name, value in variables.items()
            if isinstance(value, Mapping) and value.get("lookup")
        }

    def root_path(self, user: str) -> str:
        """Return the folder of the target's files and state in the workspace, as `user` sees it."""
        settings = {**self._sections("workspace", self.bundle)}
        settings |= self._sections("workspace", self.linked)
        facts = {"bundle.name": self._bundle_name, "bundle.target": self.name}
        facts |= {"workspace.current_user.userName": user}
        facts |= {f"var.{name}": value for name, value in self.variables.items()}
        default = f"~/.bundle/{self._bundle_name}/{self.name}"
        path = filled_in(str(settings.get("root_path") or default), facts)
        return re.sub("^~", f"/Workspace/Users/{user}", path)

    @property
    def _documents(self) -> tuple[Mapping[str, Any], ...]:
        """The files with settings of the target; each overrides the ones before it."""
        return self.bundle, self.linked

    @property
    def _bundle_name(self) -> str:
        return str((self.bundle.get("bundle") or {}).get("name", ""))

    def _values(self) -> dict[str, str]:
        """Return the values as they are written; each source overrides the ones before it."""
        values: dict[str, Any] = {}
        for document in self._documents:
            for name, declaration in (document.get("variables") or {}).items():
                values[name] = (declaration or {}).get("default", values.get(name))
        for document in self._documents:
            given = self._sections("variables", document)
            values |= {name: _default(value) for name, value in given.items()}
        values |= self.own
        for name in values:
            values[name] = os.environ.get(f"BUNDLE_VAR_{name}", values[name])
        return {
            name: str(value) for name, value in values.items() if value not in (None, NOT_LINKED)
        }

    def section(self, key: str, document: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return a section of the target in a document, by default in workspace.<target>.yml.

        It is empty if the document has none.
        """
        return self._sections(key, self.linked if document is None else document)

    def _sections(self, key: str, document: Mapping[str, Any]) -> dict[str, Any]:
        target = (document.get("targets") or {}).get(self.name) or {}
        found: dict[str, Any] = target.get(key) or {}
        return found


def _default(value: Any) -> Any:
    """Return a target's value of a variable, which may be written as `{default: value}`."""
    return value.get("default") if isinstance(value, Mapping) else value


def filled_in(text: str, facts: Mapping[str, str]) -> str:
    """Return a text whose references to `facts` are replaced; all others stay."""
    for _ in range(DEPTH):
        text = REFERENCE.sub(lambda match: facts.get(match[1], match[0]), text)
    return text


def own_path(target: str) -> str:
    """Return the file, below the project, with the variables of one person; git ignores it."""
    return f".databricks/bundle/{target}/variable-overrides.json"


def read_own(folder: Path, target: str) -> dict[str, Any]:
    """Return the variables of one person; empty without a file. Raises UsageError."""
    path = folder / own_path(target)
    try:
        found = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} does not hold a mapping")
    return found


def other_targets(folder: Path, name: str) -> list[str]:
    """Return the other targets of a project that are linked to a workspace."""
    names = [path.name.split(".")[1] for path in sorted(folder.glob(TARGET_FILES))]
    return [other for other in names if other != name]


def no_target(name: str, targets: Sequence[str]) -> str:
    """Return that a bundle has no target of that name, which it has, and which may be meant."""
    meant = targets[0] if len(targets) == 1 else nearest(name, targets)
    hint = f" (did you mean --target {meant}?)" if meant else ""
    only = f", only {', '.join(targets)}" if targets else ""
    return f"databricks.yml has no target {name}{only}{hint}"


def open_target(folder: Path, name: str, bundle: Mapping[str, Any]) -> Target:
    """Return a target of the bundle of a project; raises UsageError if a file is not valid."""
    path = target_path(folder, name)
    linked = read_first_document(path) if path.is_file() else {}
    return Target(name, bundle, linked, read_own(folder, name))
