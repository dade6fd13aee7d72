"""The command line of `lakebase-agent add-tool`."""

import argparse
from pathlib import Path

from lakebase_agent.command_line import Command, add_target
from lakebase_agent.terminal import Asker, is_interactive, say

DESCRIPTION = """\
Give the agent a tool of the workspace: a Genie space, a vector index, the
functions of a schema, SQL, or a connection to an MCP server. Writes the line in
agent_server/tools.py, and what it needs in databricks.yml: a scope to act as
the user who asks, or a resource to act as the app. Shows a diff first."""
EXAMPLES = """\
examples:
  lakebase-agent add-tool
  lakebase-agent add-tool genie "Sales" --as-user
  lakebase-agent add-tool functions main.tools --as-app --yes

exit codes: 0 done, 2 bad usage, 3 the workspace can't be reached or refuses,
            130 Ctrl-C
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = "genie, vector-search, functions, sql or mcp"
    parser.add_argument("kind", nargs="?", default="", metavar="KIND", help=kinds)
    parser.add_argument(
        "name", nargs="?", default="", metavar="NAME", help="its name or id (a list to pick from)"
    )
    parser.add_argument("--path", default=".", metavar="PATH", help="the project (.)")
    identity = parser.add_mutually_exclusive_group()
    for who, what in (("user", "the user who asks"), ("app", "the app")):
        identity.add_argument(
            f"--as-{who}", dest="acts_as", action="store_const", const=who, help=f"act as {what}"
        )
    parser.set_defaults(acts_as="")
    parser.add_argument("--profile", default="", metavar="NAME", help="profile of the CLI")
    add_target(parser)
    parser.add_argument("--yes", action="store_true", help="ask nothing, and write")


def _run(arguments: argparse.Namespace) -> int:
    # Imports the SDK of Databricks, which takes seconds.
    from lakebase_agent.add_tool.add_tool import AddToolOptions, add_tool
    from lakebase_agent.command_line import to_options

    asker = Asker(interactive=is_interactive() and not arguments.yes)
    add_tool(Path(arguments.path).resolve(), to_options(arguments, AddToolOptions), asker, say)
    return 0


COMMAND = Command(
    name="add-tool",
    summary="give the agent a tool of the workspace",
    description=DESCRIPTION,
    epilog=EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
