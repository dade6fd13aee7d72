"""The command line of `lakebase-agent adopt`."""

import argparse
from pathlib import Path

from lakebase_agent.command_line import Command, add_path, add_target, add_texts, to_options
from lakebase_agent.terminal import Asker, complain, is_interactive, say

DESCRIPTION = """\
Add memory in Lakebase to an agent that was not generated: dependencies, the
resource and the environment of its app, the modules and the grant script.
Shows a diff before it writes, and the lines that connect your agent; with
--wire it writes these, too. Run again, it updates what it added to the version
of this package."""
EXAMPLES = """\
examples:
  lakebase-agent adopt --dry-run
  lakebase-agent adopt --wire
  lakebase-agent adopt --import-memory --user 'ada@example-com=ada@example.com'
  lakebase-agent adopt my-agent --lakebase autoscaling --project memory --yes

exit codes: 0 done, 1 done with conflicts (in the files listed), 2 bad usage or
            refused, 3 the template can't be fetched, 130 Ctrl-C
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser)
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
        "app": "key of the app in the bundle, if there are several",
        "package": "folder that gets the memory modules",
        "source": "the template: a folder, or a git URL",
    }
    add_texts(parser, "VALUE", texts)
    parser.add_argument("--wire", action="store_true", help="connect your agent, as in the diff")
    _add_import(parser)
    parser.add_argument("--dry-run", action="store_true", help="show the diff, write nothing")
    parser.add_argument("--yes", action="store_true", help="ask nothing")


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--import-memory", action="store_true", help="copy what the agent stored before, by user"
    )
    texts = {"from-schema": "with --import-memory: where that is (the same schema)"}
    add_texts(parser, "VALUE", texts)
    parser.add_argument(
        "--user", action="append", default=[], metavar="OLD=NEW",
        help="with --import-memory: the platform's name of a user",
    )  # fmt: skip
    add_target(parser)


def _import(arguments: argparse.Namespace, asker: Asker) -> int:
    from lakebase_agent.importing.importing import ImportOptions, import_memory

    options = ImportOptions(
        arguments.target, arguments.schema, arguments.from_schema, arguments.user,
        arguments.dry_run,
    )  # fmt: skip
    import_memory(Path(arguments.path).resolve(), options, asker, say)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from lakebase_agent.adopt.adopt import adopt
    from lakebase_agent.adopt.adoption import AdoptOptions

    asker = Asker(interactive=is_interactive() and not arguments.yes)
    if arguments.import_memory:
        return _import(arguments, asker)
    options = to_options(arguments, AdoptOptions)
    conflicts = adopt(Path(arguments.path).resolve(), options, asker, say)
    if conflicts:
        complain(f"resolve the conflicts in {', '.join(conflicts)}")
        return 1
    return 0


COMMAND = Command(
    name="adopt",
    summary="add memory to an agent that was not generated",
    description=DESCRIPTION,
    epilog=EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
