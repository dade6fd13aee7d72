"""`lakebase-agent add-tool`: the line in tools.py, and the right to it in databricks.yml."""

from dataclasses import dataclass
from pathlib import Path

import questionary

from lakebase_agent.add_tool import tools, tools_file
from lakebase_agent.add_tool.offers import Offers
from lakebase_agent.add_tool.rights import BUNDLE, rights
from lakebase_agent.add_tool.tools import Tool
from lakebase_agent.errors import UsageError
from lakebase_agent.project.answers import read_answers
from lakebase_agent.project.bundle import DEV, read_main_file
from lakebase_agent.project.changes import Replacement, to_diff, write_together
from lakebase_agent.project.yaml_lines import add_to_yaml
from lakebase_agent.terminal import Asker, Say, ask
from lakebase_agent.workspace.signing_in import connect, pick_profile

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
    kind = asker.choose("kind of tool", "KIND", options.kind, list(tools.KINDS))
    profile = pick_profile(folder, options.target, options.profile, answers, asker)
    tool = Offers(connect(profile), asker).pick(kind, options.name)
    acts_as = asker.choose("identity", "--as-user or --as-app", options.acts_as, [USER, APP])
    changes = _changes(folder, options, kind, tool, acts_as == USER, say)
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
    folder: Path, options: AddToolOptions, kind: str, tool: Tool, as_user: bool, say: Say
) -> dict[str, Replacement]:
    changes = {}
    bundle, code = _text(folder / BUNDLE), _text(folder / TOOLS)
    if bundle:
        needed = rights(read_main_file(folder), options.target, kind, tool, as_user)
        changes[BUNDLE] = Replacement(bundle, add_to_yaml(BUNDLE, bundle, needed))
    else:
        say(f"there is no {BUNDLE}: the app needs {_named(kind, tool, as_user)}")
    servers = _servers(code)
    if (tool.path, as_user) not in servers.values():
        name = tools.to_name(kind if kind == "sql" else tool.title, list(servers))
        if edited := tools_file.with_server(code, name, tool.path, as_user):
            changes[TOOLS] = Replacement(code, edited)
        else:
            line = tools_file.call(code, name, tool.path, as_user)
            say(f"add this to MCP_SERVERS in {TOOLS}:  {line}")
    return {name: change for name, change in changes.items() if change.old != change.new}


def _named(kind: str, tool: Tool, as_user: bool) -> str:
    """Return what an app needs, for a person who gives it to the app by hand."""
    return f"the scope {tools.KINDS[kind].scope}" if as_user else f"rights on {tool.title}"


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8") if path.is_file() else ""


def _servers(code: str) -> dict[str, tools_file.Server]:
    try:
        return tools_file.servers_in(code)
    except SyntaxError as error:
        raise UsageError(f"{TOOLS}:{error.lineno} is not Python: {error.msg}") from error


def _confirm(options: AddToolOptions, asker: Asker) -> None:
    if options.yes:
        return
    if not asker.interactive:
        raise UsageError("nothing was written. To write this, add --yes")
    if not ask(questionary.confirm("Write this?")):
        raise KeyboardInterrupt
