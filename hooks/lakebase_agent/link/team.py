"""What lets several people and CI deploy one project: who deploys what, and who may use it."""

import hashlib
import re
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from lakebase_agent.link.created import PR, pull_request
from lakebase_agent.link.linking import Linking
from lakebase_agent.link.options import LinkValues
from lakebase_agent.project.bundle import DEV, app_key, app_settings
from lakebase_agent.workspace.schemas import personal_schema

MANAGE = "CAN_MANAGE"
APP_LENGTH = 30
NAME_LENGTH = 12  # of a person, in the name of an app


class Team(Linking):
    """Finds who deploys a target, who may use its app, and what one person has for themselves."""

    def add(self, values: LinkValues, me: str, declared: Collection[str]) -> str:
        """Add what belongs to the people to `values`, and return whose folder keeps the state.

        Raises WorkspaceError and KeyboardInterrupt.
        """
        app, schema = str(self.answers["app_name"]), str(self.answers.get("memory_schema") or "")
        if self.target.name == PR:
            values.add(pull_request(app, schema if self.answers.get("memory") else ""))
            values.root_path = "~/.bundle/${bundle.name}/pr-${var.pr}"
        elif self.target.name == DEV:
            values.own = self._own(me) if "app_name" in declared and not self._is_taken() else {}
        names = [] if self.target.name in (DEV, PR) else self._deployers(me)
        if names:
            values.root_path = root_path(self.target.name, names[0])
        self._add_permissions(values, names)
        return names[0] if names else me

    def _own(self, me: str) -> dict[str, str]:
        """Return the variables of one person, unless they deployed the target's own app before."""
        if is_service_principal(me):
            return {}
        if not self.target.own:
            app = self.workspace.find_app(self.linked("app_name"))
            if app and app.creator == me:
                return {}
        return {**personal_variables(self.answers, me), **self.target.own}

    def _is_taken(self) -> bool:
        """Return whether the target deploys to an app that was there before."""
        return bool(self.options.app or "app_name" in self.target.section("variables"))

    def _deployers(self, me: str) -> list[str]:
        given = self.options.deployer or ", ".join(self._known_deployers())
        if not given and self.asker.interactive:
            question = f"Who deploys {self.target.name}? (Users, or ids of service principals.)"
            given = self.asker.text(question, me)
        return deployers(given) or [me]

    def _known_deployers(self) -> list[str]:
        path = str(self.target.section("workspace").get("root_path", ""))
        first = re.fullmatch(r"/Workspace/Users/([^/$]+)/.*", path)
        managing = [_name(item) for item in self._permissions() if item["level"] == MANAGE]
        return list(dict.fromkeys([*([first[1]] if first else []), *managing]))

    def _permissions(self) -> list[dict[str, str]]:
        apps = self.target.section("resources").get("apps") or {}
        found = (apps.get(app_key(self.target.bundle)) or {}).get("permissions") or []
        return [dict(item) for item in found]

    def _add_permissions(self, values: LinkValues, names: list[str]) -> None:
        """Add who may use the app and who deploys it, if anybody is named."""
        key = app_key(self.target.bundle)
        known = [item["group_name"] for item in self._permissions() if "group_name" in item]
        users = self.options.users or ", ".join(known)
        if names and not users and self.asker.interactive:
            users = self.asker.text("Which group may use the app? (Empty: who deploys it.)")
        if key and (users or len(names) > 1):
            name = app_settings(self.target.bundle).get("name")  # the schema of bundles wants it
            settings = {"name": name, "permissions": permissions(users, names)}
            values.resources["apps"] = {key: settings}


def deployers(given: str) -> list[str]:
    """Return who deploys, from names with commas; the first one's folder keeps the state."""
    return [name for name in re.split(r"[\s,]+", given) if name]


def root_path(target: str, first: str) -> str:
    """Return the one folder of a shared target, whoever deploys it."""
    return f"/Workspace/Users/{first}/.bundle/${{bundle.name}}/{target}"


def permissions(users: str, names: list[str]) -> list[dict[str, str]]:
    """Return who may use an app (groups, with commas), and who may deploy it.

    The Databricks CLI adds whoever deploys; named here, a deployment by another changes nothing.
    """
    groups = [name.strip() for name in users.split(",") if name.strip()]
    using = [{"level": "CAN_USE", "group_name": name} for name in groups]
    return [*using, *({"level": MANAGE, _kind(name): name} for name in names)]


def _name(permission: Mapping[str, str]) -> str:
    return permission.get("service_principal_name") or permission.get("user_name") or ""


def _kind(name: str) -> str:
    return "service_principal_name" if is_service_principal(name) else "user_name"


def is_service_principal(name: str) -> bool:
    """Return whether a user's name is the application id of a service principal."""
    try:
        UUID(name)
    except ValueError:
        return False
    return True


def personal_variables(answers: Mapping[str, Any], me: str) -> dict[str, str]:
    """Return the app and the schema that a person deploys as the development target.

    The schema is not that of a server on this machine: the app could not alter its tables.
    """
    found = {"app_name": personal_app(str(answers["app_name"]), me)}
    if answers.get("memory"):
        found["memory_schema"] = personal_schema(f"{answers['memory_schema']}_{DEV}app_", me)
    return found


def personal_app(app: str, me: str) -> str:
    """Return the name of a person's app, which may have 30 characters."""
    name = re.sub("[^a-z0-9]+", "-", me.split("@")[0].lower()).strip("-")
    if not name or len(name) > NAME_LENGTH:
        digest = hashlib.sha256(me.encode()).hexdigest()[:4]
        name = f"{name[: NAME_LENGTH - 5]}-{digest}".strip("-")
    return f"{app[: APP_LENGTH - len(name) - 5].rstrip('-')}-{DEV}-{name}"
