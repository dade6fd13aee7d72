"""What `doctor` checks of acting as the user: the scopes wanted, asked for and granted."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from databricks.sdk.service.apps import App

from lakebase_agent.add_tool import scopes, tools_file
from lakebase_agent.doctor.findings import Finding, ok, problem, skipped, warning
from lakebase_agent.doctor.linked_project import LinkedProject
from lakebase_agent.project.bundle import app_key, app_settings
from lakebase_agent.targets.target import Target
from lakebase_agent.workspace.app_scopes import allowed_scopes

CHECK = "scopes"
GROUPS = "SHARED_MEMORY_GROUPS"
ADMIN = "ask an administrator of the workspace: Settings, Development, Apps"


def check_scopes(project: LinkedProject) -> Iterator[Finding]:
    """Yield whether tools may act as the user; nothing if none does. Raises WorkspaceError."""
    target = project.bundle_target
    try:
        needed = scopes.needed(project.code(tools_file.PLACE))
    except SyntaxError as error:
        yield skipped(CHECK, f"{tools_file.PLACE}:{error.lineno} is not Python: {error.msg}")
        return
    asked = asked_for(target)
    yield from _check_asked(needed, asked)
    yield from _check_groups(project.settings, asked)
    wanted = [*dict.fromkeys([*needed, *asked])]
    if not wanted:
        return
    allowed = allowed_scopes(project.workspace)
    if allowed == []:
        text = f"user authorization is off in this workspace: no app may have {_and(wanted)}"
        yield problem(CHECK, text, ADMIN)
    elif allowed and (refused := scopes.without(wanted, allowed)):
        yield problem(CHECK, f"this workspace allows no app {_and(refused)}", ADMIN)
    elif project.deployed is None:
        yield skipped(CHECK, f"the app, which asks for {_and(wanted)}, is not deployed yet")
    elif asked:
        yield from _check_granted(project, project.deployed, asked)


def asked_for(target: Target) -> list[str]:
    """Return the scopes that a target's app asks for; the CLI appends lists of a target."""
    key, documents = app_key(target.bundle), (target.bundle, target.linked)
    of_target = [_app(target.section("resources", one), key) for one in documents]
    apps = [app_settings(target.bundle), *of_target]
    return [*dict.fromkeys(chain.from_iterable(app.get("user_api_scopes") or [] for app in apps))]


def _app(resources: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (resources.get("apps") or {}).get(key) or {}
    return found


def _check_asked(needed: Mapping[str, str], asked: list[str]) -> Iterator[Finding]:
    for scope in scopes.without(needed, asked):
        text = f"{needed[scope]} in {tools_file.PLACE} needs {scope}, and it is not asked for"
        yield problem(CHECK, text, f"add {scope} to user_api_scopes of the app in databricks.yml")


def _check_groups(settings: Mapping[str, str], asked: list[str]) -> Iterator[Finding]:
    # Any scope will do: an app that asks for none is sent no token.
    if settings.get(GROUPS) and not asked:
        text = f"{GROUPS} needs the user's token, and the app asks for no scope"
        yield problem(CHECK, text, "add one to user_api_scopes of the app in databricks.yml")


def _check_granted(project: LinkedProject, app: App, asked: list[str]) -> Iterator[Finding]:
    deploy = f"databricks apps deploy --target {project.target}"
    if not_deployed := scopes.without(asked, app.user_api_scopes or []):
        yield problem(CHECK, f"{project.app} was deployed without {_and(not_deployed)}", deploy)
    elif missing := scopes.without(asked, app.effective_user_api_scopes or []):
        text = f"{project.app} asks for {_and(missing)}, and was not granted it"
        yield problem(CHECK, text, f"{ADMIN}; then {deploy}")
    elif getattr(app, "forward_user_access_token", None) is False:
        text = f"{project.app} is not sent the tokens of its users"
        yield warning(CHECK, text, f"databricks apps stop {project.app}, then start it; or {ADMIN}")
    else:
        yield ok(CHECK, f"{project.app} acts as the user with {_and(asked)}")


def _and(names: list[str]) -> str:
    return ", ".join(names)
