"""`lakebase-agent add-tool`: the line in tools.py, and the right to it in databricks.yml."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import questionary

from lakebase_agent.add_tool import tools, tools_file
from lakebase_agent.add_tool.offers import Offers
from lakebase_agent.add_tool.tools import Tool
from lakebase_agent.errors import UsageError
from lakebase_agent.project.answers import read_answers
from lakebase_agent.project.bundle import DEV, read_bundle
from lakebase_agent.project.changes import Replacement, to_diff, write_together
from lakebase_agent.project.yaml_lines import add_to_yaml
from lakebase_agent.terminal import Asker, Say
from lakebase_agent.workspace.signing_in import connect, pick_profile

BUNDLE = "databricks.yml"
TOOLS = tools_file.PLACE
USER, APP = "user", "app"


@dataclass(frozen=True)
class AddToolOptions:
    """What was given on the command line; empty if it was not."""

    kind: str = ""
    name: str = ""
    acts_as: str = ""
    profile: str = ""
    target: str = DEV
    yes: bool = False


def add_tool(folder: Path, options: AddToolOptions, asker: Asker, say: Say) -> None:
    """Give the agent in `folder` a tool of its workspace, after showing what changes.

    Raises UsageError, WorkspaceError, and KeyboardInterrupt. Nothing is written before a yes.
    """
    answers = read_answers(folder)
    kind = asker.choose("kind of tool", "one of", options.kind, list(tools.KINDS))
    profile = pick_profile(folder, options.target, options.profile, answers, asker)
    tool = Offers(connect(profile), asker).pick(kind, options.name)
    acts_as = asker.choose("identity", "--as-user or --as-app", options.acts_as, [USER, APP])
    changes = _changes(folder, kind, tool, acts_as == USER, say)
    if not changes:
        say(f"the agent has {tool.title} already; nothing changed")
        return
    print(to_diff(changes), end="")
    _confirm(options, asker)
    write_together(folder, changes)
    for name in changes:
        say(f"wrote {name}")
    say("deploy to grant it: databricks apps deploy, then lakebase-agent doctor")


def _changes(
    folder: Path, kind: str, tool: Tool, as_user: bool, say: Say
) -> dict[str, Replacement]:
    changes = {}
    bundle = folder / BUNDLE
    if bundle.is_file():
        text = bundle.read_bytes().decode("utf-8")
        new = add_to_yaml(BUNDLE, text, _rights(folder, kind, tool, as_user))
        changes[BUNDLE] = Replacement(text, new)
    code = (folder / TOOLS).read_bytes().decode("utf-8") if (folder / TOOLS).is_file() else ""
    servers = tools_file.servers_in(code)
    if (tool.path, as_user) not in servers.values():
        name = tools.to_name(kind if kind == "sql" else tool.title, list(servers))
        line = tools_file.call(name, tool.path, as_user)
        if edited := tools_file.with_server(code, line):
            changes[TOOLS] = Replacement(code, edited)
        else:
            say(f"add this to MCP_SERVERS in {TOOLS}:  {line}")
    return {name: change for name, change in changes.items() if change.old != change.new}


def _rights(folder: Path, kind: str, tool: Tool, as_user: bool) -> dict[str, Any]:
    """Return what the app in the bundle needs: a scope, or resources of its own."""
    apps = (read_bundle(folder).get("resources") or {}).get("apps") or {}
    if len(apps) != 1:
        names = ", ".join(apps) or "none"
        raise UsageError(f"{BUNDLE} must have one app in resources.apps, not: {names}")
    [(key, app)] = apps.items()
    if as_user:
        return _of_app(key, {"user_api_scopes": [tools.KINDS[kind].scope]})
    held = [{k: v for k, v in one.items() if k != "name"} for one in app.get("resources") or []]
    taken = [str(one.get("name")) for one in app.get("resources") or []]
    new: list[dict[str, Any]] = []
    for grant in tool.grants:
        if grant not in held:
            name = tools.to_name(f"{kind} {_title(grant, tool)}", taken).replace("_", "-")
            taken.append(name.replace("-", "_"))
            new.append({"name": name, **grant})
    return _of_app(key, {"resources": new}) if new else {}


def _title(grant: dict[str, Any], tool: Tool) -> str:
    full_name = str(grant.get("uc_securable", {}).get("securable_full_name", tool.title))
    return full_name.rsplit(".", 1)[-1]


def _of_app(key: str, addition: dict[str, Any]) -> dict[str, Any]:
    return {"resources": {"apps": {key: addition}}}


def _confirm(options: AddToolOptions, asker: Asker) -> None:
    if options.yes:
        return
    if not asker.interactive:
        raise UsageError("nothing was written. To write this, add --yes")
    if not questionary.confirm("Write this?").unsafe_ask():
        raise KeyboardInterrupt
