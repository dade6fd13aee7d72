"""The console script `lakebase-agent`."""

import argparse
import sys

from copier.errors import CopierError, UserMessageError
from plumbum import ProcessExecutionError

from lakebase_agent.new import TEMPLATE, UsageError, new_project, to_answers

EXAMPLE = """\
example:
  lakebase-agent new my-agent --data framework=openai --defaults
"""


def main() -> None:
    """Run the command line; exit codes: 0 done, 2 bad usage, 3 no template, 130 Ctrl-C."""
    options = _parser().parse_args()
    try:
        answers = to_answers(options.data)
        new_project(options.destination, options.template, answers, options.defaults)
    except KeyboardInterrupt:
        _fail(130, "stopped; nothing was generated.")
    except ProcessExecutionError as error:
        reason = " ".join(str(error.stderr).split())
        _fail(3, f"the template {options.template} can't be reached: {reason}")
    except (UsageError, UserMessageError, CopierError, ValueError) as error:
        _fail(2, " ".join(str(error).split()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lakebase-agent", description="AI agents whose memory lives in Databricks Lakebase."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    new = commands.add_parser(
        "new",
        help="generate a project",
        description="Generate a project in an empty or new folder.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    new.add_argument("destination", help="the project's folder")
    new.add_argument("--template", default=TEMPLATE, help="git URL or folder (%(default)s)")
    new.add_argument("--data", action="append", default=[], metavar="K=V", help="answer K with V")
    new.add_argument("--defaults", action="store_true", help="ask nothing")
    return parser


def _fail(code: int, message: str) -> None:
    print(f"lakebase-agent: {message}", file=sys.stderr)
    sys.exit(code)
