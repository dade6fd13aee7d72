"""The console script `lakebase-agent`."""

import argparse
import sys
from importlib.metadata import version

from copier.errors import CopierError

from lakebase_agent.new import TEMPLATE, SourceError, new_project, to_answers

EXAMPLE = """\
example:
  lakebase-agent new my-agent --data framework=openai --defaults
"""


def main() -> None:
    """Run the command line; exit codes: 0 done, 2 bad usage, 3 no template, 130 Ctrl-C."""
    options = _parser().parse_args()
    try:
        answers = to_answers(options.data)
        new_project(options.destination, options.source, answers, options.defaults)
    except KeyboardInterrupt:
        _fail(130, "stopped; nothing was generated")
    except SourceError as error:
        _fail(3, str(error))
    except (CopierError, ValueError, OSError) as error:
        _fail(2, " ".join(str(error).split()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lakebase-agent",
        description="AI agents whose memory lives in Databricks Lakebase.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version("lakebase-agent"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    new = commands.add_parser(
        "new",
        help="generate a project",
        description="Generate a project in a new folder, and ask what it should be like.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_arguments_of_new(new)
    return parser


def _add_arguments_of_new(new: argparse.ArgumentParser) -> None:
    new.add_argument("destination", metavar="DEST", help="the project's folder, new or empty")
    new.add_argument(
        "--source",
        default=TEMPLATE,
        metavar="URL_OR_PATH",
        help="the template: a folder, or a git URL (%(default)s)",
    )
    new.add_argument(
        "--data", action="append", default=[], metavar="K=V", help="answer question K with V"
    )
    new.add_argument("--defaults", action="store_true", help="ask nothing")


def _fail(code: int, message: str) -> None:
    print(f"lakebase-agent: {message}", file=sys.stderr)
    sys.exit(code)
