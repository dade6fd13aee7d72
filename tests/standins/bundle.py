"""What the Databricks CLI does with a bundle, on the stand-in workspace.

Modelled on version 1.14 with its direct engine, from its source and by trying it on its own test
server: files are merged, a target overrides, variables come from the environment, from
variable-overrides.json and from the files, in this order (bundle/config/mutator/set_variables.go);
the state is below the root path (bundle/statemgmt); where an app has permissions, whoever deploys
is added to them (resourcemutator/fix_permissions.go); an app that is not in the state is created,
which the workspace refuses if it has one of that name (libs/testserver/apps.go); another name is
another app, and the end of the old one, unless `prevent_destroy` is set (bundle/phases/plan.go).
Not modelled: files, locks, drift, every other kind of setting.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import yaml

from tests.standins.workspace.apps import App
from tests.standins.workspace.content import Content
from tests.standins.workspace.state import Experiment, Json, Project

NEW_DATABASE = "databricks-postgres"  # the id that projects give it since May 2026
REFERENCE = re.compile(r"\$\{([\w.-]+)\}")
# What makes a resource another one, by its kind.
IDENTITY = {
    "apps": "name",
    "experiments": "name",
    "postgres_projects": "project_id",
    "postgres_branches": "branch_id",
    "database_instances": "name",
}


class BundleError(Exception):
    """The CLI ends with an error; the text is what it prints."""


@dataclass(frozen=True)
class Deployment:
    """A target of a project's bundle, as one identity sees it."""

    content: Content
    project: Path
    target: str
    user: str
    environment: Mapping[str, str]

    def plan(self) -> dict[str, str]:
        """Return what a deployment would do with each resource that it would not leave alone."""
        state, wanted = self._state(), self._wanted()
        actions = {key: _action(state.get(key), value) for key, value in wanted.items()}
        actions |= {key: "delete" for key in state.keys() - wanted.keys()}
        return {key: action for key, action in actions.items() if action}

    def deploy(self) -> dict[str, str]:
        """Do it, and return it. Raises BundleError."""
        plan, wanted, state = self.plan(), self._wanted(), self._state()
        self._check_kept(plan, wanted)
        self._check_writable()
        for key, action in plan.items():
            if action in ("delete", "recreate"):
                self._delete(key, state.pop(key))
        for key in wanted:
            if plan.get(key) in ("create", "recreate"):
                self._create(key, wanted[key])
            if key in plan and key in wanted:
                self._update(key, wanted[key])
                state[key] = wanted[key]
        entries = {f"resources.{k}": {"__id__": _id(k, v), "state": v} for k, v in state.items()}
        self.content.files[self._path] = json.dumps({"state": entries}).encode()
        return plan

    def destroy(self) -> list[str]:
        """Delete everything in the state, and return what it was."""
        state = self._state()
        for key, value in state.items():
            self._delete(key, value)
        self.content.files.pop(self._path, None)
        return sorted(state)

    @property
    def config(self) -> Json:
        """The bundle with the target's settings, and every reference to a value replaced."""
        document: Json = {}
        for path in [
            self.project / "databricks.yml",
            *sorted(self.project.glob("workspace.*.yml")),
        ]:
            document = _merged(document, yaml.safe_load(path.read_text("utf-8")))
        target = (document.pop("targets") or {}).get(self.target)
        if target is None:
            raise BundleError(f"{self.target}: no such target")
        facts = self._facts(document, target)
        document = _merged(document, {k: v for k, v in target.items() if k != "variables"})
        filled: Json = _filled(document, facts)
        return filled

    @property
    def root(self) -> str:
        """The folder of the deployment in the workspace."""
        config = self.config
        path = (config.get("workspace") or {}).get("root_path")
        path = path or f"~/.bundle/{config['bundle']['name']}/{self.target}"
        return re.sub("^~", f"/Workspace/Users/{self.user}", str(path))

    @property
    def _path(self) -> str:
        return f"{self.root}/state/resources.json"

    def _facts(self, document: Json, target: Json) -> dict[str, str]:
        name = self.user.partition("@")[0]
        values = {n: (v or {}).get("default") for n, v in document.get("variables", {}).items()}
        values |= target.get("variables") or {}
        own = self.project / ".databricks" / "bundle" / self.target / "variable-overrides.json"
        values |= json.loads(own.read_text()) if own.is_file() else {}
        values = {n: self.environment.get(f"BUNDLE_VAR_{n}", v) for n, v in values.items()}
        missing = [n for n in values if values[n] is None]
        if missing:
            raise BundleError(f"no value assigned to required variable {missing[0]}")
        return {
            "bundle.name": document["bundle"]["name"],
            "bundle.target": self.target,
            "workspace.current_user.userName": self.user,
            "workspace.current_user.short_name": re.sub(r"\W", "_", name),
            "workspace.current_user.domain_friendly_name": re.sub("[^a-z0-9]", "-", name.lower()),
            **{f"var.{n}": str(v) for n, v in values.items()},
        }

    def _wanted(self) -> dict[str, Json]:
        wanted = {}
        for kind, resources in self.config["resources"].items():
            for key, value in resources.items():
                wanted[f"{kind}.{key}"] = self._with_deployer(kind, value)
        return wanted

    def _with_deployer(self, kind: str, value: Json) -> Json:
        permissions = value.get("permissions")
        if kind != "apps" or permissions is None:
            return value
        role = "service_principal_name" if _is_uuid(self.user) else "user_name"
        deployer = {"level": "CAN_MANAGE", role: self.user}
        return {**value, "permissions": permissions + [deployer] * (deployer not in permissions)}

    def _state(self) -> dict[str, Json]:
        text = self.content.files.get(self._path)
        entries = json.loads(text)["state"] if text else {}
        return {k.removeprefix("resources."): v.get("state", {}) for k, v in entries.items()}

    def _check_kept(self, plan: Mapping[str, str], wanted: Mapping[str, Json]) -> None:
        for key, action in plan.items():
            kept = (wanted.get(key, {}).get("lifecycle") or {}).get("prevent_destroy")
            if kept and action in ("delete", "recreate"):
                raise BundleError(f"resources.{key} has lifecycle.prevent_destroy set")

    def _check_writable(self) -> None:
        home = re.match("/Workspace/Users/([^/]+)/", self.root)
        if home and home[1] != self.user and self.user not in self.content.writers:
            raise BundleError(f"{self.user} does not have permission to write to {self.root}")

    def _create(self, key: str, value: Json) -> None:
        kind, name = key.partition(".")[0], _id(key, value)
        if kind == "apps":
            if name in self.content.apps:
                raise BundleError(f"An app with the same name already exists: {name}")
            self.content.apps[name] = App(name, str(uuid4()), creator=self.user)
        elif kind == "experiments":
            if any(known.name == name for known in self.content.experiments):
                raise BundleError(f"Node named '{name}' already exists")
            self.content.experiments.append(Experiment(str(uuid4().int)[:12], name))
        elif kind == "postgres_projects":
            branch = f"projects/{name}/branches/production"
            made = self.content.new_branch(branch, default=True, database_id=NEW_DATABASE)
            self.content.add(Project(f"projects/{name}"), *made)
        elif kind == "postgres_branches":
            branch = f"{value['parent']}/branches/{name}"
            if value["parent"] not in self.content.lakebase:
                raise BundleError("project id not found")
            self.content.add(*self.content.new_branch(branch, database_id=NEW_DATABASE))

    def _update(self, key: str, value: Json) -> None:
        if key.startswith("apps."):
            app = self.content.apps[_id(key, value)]
            app.permissions = value.get("permissions", [])
            app.resources = [self._resolved(item) for item in value["resources"]]

    def _resolved(self, resource: Json) -> Json:
        """Return a resource of an app with what the deployment created in place of references."""
        facts: dict[str, str] = {}
        for key, value in self._wanted().items():
            name = _id(key, value)
            path = {
                "postgres_projects": f"projects/{name}",
                "postgres_branches": f"{value.get('parent')}/branches/{name}",
            }.get(key.partition(".")[0], name)
            ids = [e.id for e in self.content.experiments if e.name == name]
            facts |= {f"resources.{key}.id": (ids or [path])[0], f"resources.{key}.name": name}
        resolved: Json = _filled(resource, facts, strict=False)
        return resolved

    def _delete(self, key: str, value: Json) -> None:
        kind, name = key.partition(".")[0], _id(key, value)
        if kind == "apps":
            self.content.apps.pop(name, None)
        elif kind == "experiments":
            self.content.experiments[:] = [e for e in self.content.experiments if e.name != name]
        elif kind == "postgres_branches":
            for place in [p for p in self.content.lakebase if f"/branches/{name}" in p]:
                del self.content.lakebase[place]


def _action(before: Json | None, after: Json) -> str:
    if before is None:
        return "create"
    if not before:  # a state whose details the test does not know
        return ""
    identities = IDENTITY.values()
    if any(before.get(field) != after.get(field) for field in identities):
        return "recreate"
    return "" if before == after else "update"


def _id(key: str, value: Json) -> str:
    return str(value.get(IDENTITY[key.partition(".")[0]], ""))


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{k: _merged(old.get(k), v) for k, v in new.items()}}
    return new


def _filled(value: Any, facts: Mapping[str, str], strict: bool = True) -> Any:
    """Return settings with `facts`; what the bundle creates is known later."""
    if isinstance(value, dict):
        return {k: v if k == "variables" else _filled(v, facts, strict) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(item, facts, strict) for item in value]
    if not isinstance(value, str):
        return value
    for _ in range(5):
        value = REFERENCE.sub(lambda match: facts.get(match[1], match[0]), value)
    unknown = [name for name in REFERENCE.findall(value) if not name.startswith("resources.")]
    if strict and unknown:
        raise BundleError(f"reference does not exist: ${{{unknown[0]}}}")
    return value


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
