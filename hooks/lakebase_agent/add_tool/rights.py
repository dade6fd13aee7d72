"""What the app in a bundle needs for a tool: a scope of the user's, or resources of its own."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from lakebase_agent.add_tool import scopes, tools
from lakebase_agent.add_tool.tools import Tool
from lakebase_agent.errors import UsageError

BUNDLE = "databricks.yml"


def rights(
    bundle: Mapping[str, Any], target: str, kind: str, tool: Tool, as_user: bool
) -> dict[str, Any]:
    """Return what to add to the bundle; empty if the app has it already.

    It goes to the app of all targets, or to that of `target` if only this has one. Raises
    UsageError if it is not clear which app it is.
    """
    own = (bundle.get("targets") or {}).get(target) or {}
    everywhere, here = _apps(bundle), _apps(own)
    apps = everywhere or here
    wanted = _scopes_or_grants(kind, tool, as_user)
    if len(apps) != 1:
        names = ", ".join(apps) or "none"
        raise UsageError(
            f"{BUNDLE} must have one app in resources.apps, or in those of the target {target}, "
            f"not: {names}. Add this to the app yourself: {json.dumps(wanted)}"
        )
    [key] = apps
    held = [app[key] or {} for app in (everywhere, here) if key in app]
    missing = _missing(kind, tool, held, wanted)
    if not missing:
        return {}
    addition = {"resources": {"apps": {key: missing}}}
    return addition if everywhere else {"targets": {target: addition}}


def _apps(section: Mapping[str, Any]) -> dict[str, Any]:
    return dict((section.get("resources") or {}).get("apps") or {})


def _scopes_or_grants(kind: str, tool: Tool, as_user: bool) -> dict[str, list[Any]]:
    if as_user:
        return {"user_api_scopes": [tools.KINDS[kind].scope]}
    return {"resources": [*tool.grants]}


def _missing(
    kind: str, tool: Tool, held: Iterable[Mapping[str, Any]], wanted: Mapping[str, list[Any]]
) -> dict[str, list[Any]]:
    [(place, items)] = wanted.items()
    have = [item for app in held for item in app.get(place) or []]
    if place == "user_api_scopes":
        new = scopes.without(items, map(str, have))
    else:
        new = _named(kind, tool, items, have)
    return {place: new} if new else {}


def _named(kind: str, tool: Tool, grants: list[Any], have: list[Any]) -> list[Any]:
    """Return the grants that the app does not have, with names that none of its own has."""
    granted = [{key: value for key, value in one.items() if key != "name"} for one in have]
    taken = [str(one.get("name")).replace("-", "_") for one in have]
    new: list[Any] = []
    for grant in grants:
        if grant not in granted:
            name = tools.to_name(f"{kind} {_title(grant, tool)}", taken)
            taken.append(name)
            new.append({"name": name.replace("_", "-"), **grant})
    return new


def _title(grant: Mapping[str, Any], tool: Tool) -> str:
    full_name = str(grant.get("uc_securable", {}).get("securable_full_name", tool.title))
    return full_name.rsplit(".", 1)[-1]
