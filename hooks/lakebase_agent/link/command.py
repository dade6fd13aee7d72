"""The command line of `lakebase-agent link`."""

import argparse
from pathlib import Path

from lakebase_agent.command_line import Command, add_path, add_target, add_texts, to_options
from lakebase_agent.terminal import Asker, is_interactive, say

EXAMPLES = """\
examples:
  lakebase-agent link
  lakebase-agent link --project memory --branch production --target prod --yes
  lakebase-agent link --create --target prod --deployer 1a2b... --users analysts
  lakebase-agent link --create --target pr

exit codes: 0 done, 2 bad usage, 3 the workspace can't be reached or refuses,
            130 Ctrl-C
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser)
    texts = {
        "profile": "profile of the Databricks CLI",
        "project": "autoscaling project",
        "branch": "branch of it",
        "create-project": "create this autoscaling project",
        "instance": "provisioned instance",
        "experiment": "MLflow experiment, by id or full name",
        "deployer": "who deploys a shared target: users, or ids of service principals, with commas",
        "users": "group that may use the app",
        "app": "take the resources of this existing app, and deploy to it",
    }
    add_texts(parser, "NAME", texts)
    add_target(parser)
    parser.add_argument(
        "--create", action="store_true", help="let the bundle create its Lakebase and experiment"
    )
    parser.add_argument("--yes", action="store_true", help="ask nothing")


def _run(arguments: argparse.Namespace) -> int:
    # Imports the SDK of Databricks, which takes seconds.
    from lakebase_agent.link.link import link
    from lakebase_agent.link.options import LinkOptions

    asker = Asker(interactive=is_interactive() and not arguments.yes)
    link(Path(arguments.path).resolve(), to_options(arguments, LinkOptions), asker, say)
    return 0


COMMAND = Command(
    name="link",
    summary="connect a project to a workspace",
    description="Look up the Lakebase and the experiment of a project, and write them down.",
    epilog=EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
