"""What the commands of `lakebase-agent` take, and what their help says."""

import argparse
from functools import partial
from importlib.metadata import version

from lakebase_agent.new.new import TEMPLATE

EXAMPLE = """\
examples:
  lakebase-agent new my-agent
  lakebase-agent new my-agent --data framework=openai --defaults
"""
EXAMPLE_OF_DOCTOR = """\
examples:
  lakebase-agent doctor
  lakebase-agent doctor --target prod --json

exit codes: 0 no problem, 1 at least one, 2 bad usage
"""
EXAMPLE_OF_UPDATE = """\
examples:
  lakebase-agent update --dry-run
  lakebase-agent update --data lakebase=autoscaling
  lakebase-agent update my-agent --to v0.3.0 --yes

exit codes: 0 done, 1 files need you (they are listed), 2 bad usage,
            3 the template can't be reached, 130 Ctrl-C
"""
EXAMPLE_OF_ADOPT = """\
examples:
  lakebase-agent adopt --dry-run
  lakebase-agent adopt my-agent --lakebase autoscaling --project memory --yes

exit codes: 0 done, 1 files need you (they are listed), 2 bad usage or refused,
            3 the template can't be reached, 130 Ctrl-C
"""
EXAMPLE_OF_LINK = """\
examples:
  lakebase-agent link
  lakebase-agent link --project memory --branch production --target prod --yes

exit codes: 0 done, 2 bad usage, 3 the workspace can't be reached or refuses,
            130 Ctrl-C
"""


def build_parser() -> argparse.ArgumentParser:
    """Return what reads a command line; `command` is the name of the command in what it returns."""
    parser = argparse.ArgumentParser(
        prog="lakebase-agent",
        description="AI agents whose memory lives in Databricks Lakebase.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version("lakebase-agent"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add = partial(commands.add_parser, formatter_class=argparse.RawDescriptionHelpFormatter)
    text = "Generate a project in a new folder, and ask what it should be like."
    _add_arguments_of_new(add("new", help="generate a project", description=text, epilog=EXAMPLE))
    text = (
        "Take the next release of the template, or other answers. Shows what changes\n"
        "before it does it. Your agent.py, prompts.py, tools.py, evals/ and README.md\n"
        "are left alone; your edits elsewhere are merged."
    )
    short = "bring a project to the next release, or to other answers"
    _add_arguments_of_update(add("update", help=short, description=text, epilog=EXAMPLE_OF_UPDATE))
    text = (
        "Give memory in Lakebase to an agent that was not generated: dependencies, the\n"
        "resource and the environment of its app, the modules and the grant script.\n"
        "Shows a diff before it writes, and the lines that connect your agent. Run\n"
        "again, it brings what it added to the version of this package."
    )
    short = "give memory to an agent that was not generated"
    _add_arguments_of_adopt(add("adopt", help=short, description=text, epilog=EXAMPLE_OF_ADOPT))
    text = "Look up the Lakebase and the experiment of a project, and write them down."
    short = "connect a project to a workspace"
    _add_arguments_of_link(add("link", help=short, description=text, epilog=EXAMPLE_OF_LINK))
    text = "Check a project and its workspace, and say what mends it. Changes nothing."
    short = "find what is wrong between a project and its workspace"
    _add_arguments_of_doctor(add("doctor", help=short, description=text, epilog=EXAMPLE_OF_DOCTOR))
    return parser


def _add_arguments_of_update(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command="update")
    _add_path(parser)
    _add_data(parser)
    parser.add_argument(
        "--to",
        default="",
        metavar="TAG",
        help="a release of the template (the latest); `current` stays at the project's",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what changes, write nothing")
    parser.add_argument("--yes", action="store_true", help="ask nothing, and delete what must go")


def _add_arguments_of_adopt(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command="adopt")
    _add_path(parser)
    texts = {
        "framework": "langgraph or openai (from its dependencies)",
        "lakebase": "autoscaling or provisioned (from its bundle)",
        "memory": "short_term, long_term (both)",
        "project": "autoscaling project",
        "branch": "branch of it",
        "instance": "provisioned instance",
        "embedding-endpoint": "serving endpoint that makes vectors",
        "embedding-dims": "length of its vectors",
        "schema": "Postgres schema of the memory (from the app's name)",
        "app": "key of the app in the bundle, of several",
        "package": "folder that gets the memory modules",
        "source": "the template: a folder, or a git URL",
    }
    _add_texts(parser, "VALUE", texts)
    parser.add_argument("--dry-run", action="store_true", help="show the diff, write nothing")
    parser.add_argument("--yes", action="store_true", help="ask nothing")


def _add_arguments_of_doctor(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command="doctor")
    _add_path(parser)
    parser.add_argument("--profile", default="", metavar="NAME", help="profile of the CLI")
    _add_target(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def _add_arguments_of_link(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command="link")
    _add_path(parser)
    texts = {
        "profile": "profile of the Databricks CLI",
        "project": "autoscaling project",
        "branch": "branch of it",
        "create-project": "create this autoscaling project",
        "instance": "provisioned instance",
        "experiment": "MLflow experiment, by id or full name",
        "app": "take the resources of this existing app, and deploy to it",
    }
    _add_texts(parser, "NAME", texts)
    _add_target(parser)
    parser.add_argument("--yes", action="store_true", help="ask nothing")


def _add_arguments_of_new(new: argparse.ArgumentParser) -> None:
    new.set_defaults(command="new")
    new.add_argument("destination", metavar="DEST", help="the project's folder, new or empty")
    new.add_argument(
        "--source",
        default=TEMPLATE,
        metavar="URL_OR_PATH",
        help="the template: a folder, or a git URL (%(default)s)",
    )
    _add_data(new)
    new.add_argument("--answers", metavar="FILE", help="answers from a YAML file; --data wins")
    new.add_argument("--defaults", action="store_true", help="ask nothing")
    new.add_argument("--json", action="store_true", help="ask nothing, and print JSON")
    new.add_argument("--no-install", action="store_true", help="do not install its packages")


def _add_path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", default=".", metavar="PATH", help="the project (.)")


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--target", default="dev", metavar="NAME", help="bundle target (%(default)s)"
    )


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", action="append", default=[], metavar="K=V", help="answer question K with V"
    )


def _add_texts(parser: argparse.ArgumentParser, metavar: str, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        parser.add_argument(f"--{name}", default="", metavar=metavar, help=text)
