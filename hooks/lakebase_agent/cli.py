"""The console script `lakebase-agent`."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from urllib.request import getproxies_environment

from lakebase_agent.add_tool.command import COMMAND as ADD_TOOL
from lakebase_agent.adopt.command import COMMAND as ADOPT
from lakebase_agent.command_line import refuse_unknown
from lakebase_agent.doctor.command import COMMAND as DOCTOR
from lakebase_agent.errors import SourceError, UsageError, WorkspaceError
from lakebase_agent.link.command import COMMAND as LINK
from lakebase_agent.nearest import did_you_mean
from lakebase_agent.new.command import COMMAND as NEW
from lakebase_agent.project.git import GitError
from lakebase_agent.terminal import complain
from lakebase_agent.update.command import COMMAND as UPDATE
from lakebase_agent.update.killed import refuse_half_written

LOOPBACK = ("localhost", "127.0.0.1", "::1")
COMMANDS = (NEW, UPDATE, ADOPT, LINK, DOCTOR, ADD_TOOL)
EXAMPLES = """\
examples:
  lakebase-agent new my-agent
  lakebase-agent new my-agent --data framework=openai --defaults
"""


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 1 done but something is left to fix, 2 bad usage, 3 the template or the
    workspace can't be reached, 130 Ctrl-C.
    """
    arguments = _parse(sys.argv[1:])
    _keep_loopback_direct()
    # What the SDK warns of is also raised, and reported in one line.
    logging.getLogger("databricks.sdk").setLevel(logging.ERROR)
    if code := _run(arguments):
        sys.exit(code)


def _keep_loopback_direct() -> None:
    """Let no proxy of the environment be asked for this machine."""
    proxies = getproxies_environment()
    hosts = [host for host in proxies.pop("no", "").split(",") if host]
    if proxies and "*" not in hosts:
        direct = ",".join(dict.fromkeys([*hosts, *LOOPBACK]))
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = direct


def _run(arguments: argparse.Namespace) -> int:
    try:
        if "path" in arguments:
            refuse_half_written(Path(arguments.path))
        code: int = arguments.run(arguments)
    except KeyboardInterrupt:
        complain("stopped; nothing was written")
        return 130
    except (SourceError, WorkspaceError) as error:
        complain(str(error))
        return 3
    except UsageError as error:
        complain(str(error))
        return 2
    except _refusals() as error:
        complain(" ".join(str(error).split()))
        return 2
    return code


def _refusals() -> tuple[type[Exception], ...]:
    """Return the errors that say what is wrong with the input."""
    # Copier takes a third of a second to import: only once something has failed.
    from copier.errors import CopierError

    return CopierError, GitError, ValueError, OSError


def _parse(given: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of a command; exits with 2 for what is not known."""
    parser, names = _build_parser(), [command.name for command in COMMANDS]
    known = [*names, "-h", "--help", "--version"]
    if given and given[0] not in known:
        hint = did_you_mean(given[0], known) or f"the commands are {', '.join(names)}"
        parser.error(f"there is no command {given[0]}: {hint}")
    arguments, unknown = parser.parse_known_args(given)
    refuse_unknown(arguments.parser, unknown)
    return arguments


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lakebase-agent",
        description="AI agents whose memory lives in Databricks Lakebase.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version("lakebase-agent"))
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        subparser = subparsers.add_parser(
            command.name,
            help=command.summary,
            description=command.description,
            epilog=command.epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        subparser.set_defaults(run=command.run, parser=subparser)
        command.add_arguments(subparser)
    return parser
