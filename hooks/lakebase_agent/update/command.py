"""The command line of `lakebase-agent update`."""

import argparse
from contextlib import suppress
from pathlib import Path

import questionary

from lakebase_agent.command_line import Command, add_data, add_path, to_answers
from lakebase_agent.terminal import Asker, ask, complain, is_interactive, say
from lakebase_agent.update.killed import UNDO

LINK = "uvx --from git+https://github.com/org/lakebase-agent lakebase-agent link"
DESCRIPTION = """\
Take the next release of the template, or other answers. Shows what changes
before it changes it. Your agent.py, prompts.py, tools.py, evals/cases.toml and
README.md are left alone; your edits elsewhere are merged."""
EXAMPLES = """\
examples:
  lakebase-agent update --dry-run
  lakebase-agent update --data lakebase=autoscaling
  lakebase-agent update my-agent --to v0.3.0 --yes

exit codes: 0 done, 1 done with conflicts (in the files listed), 2 bad usage,
            3 the template can't be fetched, 130 Ctrl-C
"""
HOW_TO_RESOLVE = f"""\
Then `git add` them, and commit. To undo the whole update instead:
    {UNDO}"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser)
    add_data(parser)
    parser.add_argument(
        "--to",
        default="",
        metavar="TAG",
        help="a release of the template (the latest); `current` stays at the project's",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what changes, write nothing")
    parser.add_argument(
        "--yes", action="store_true", help="ask nothing, and delete what the template deletes"
    )


def _run(arguments: argparse.Namespace) -> int:
    # Imports Copier, which takes a third of a second.
    from lakebase_agent.update.update import UpdateOptions, update

    project = Path(arguments.path).resolve()
    interactive = is_interactive()
    options = UpdateOptions(
        to_answers(arguments.data), arguments.to, arguments.dry_run, arguments.yes, interactive
    )
    outcome = update(project, options, say)
    if outcome.link:
        _link(project, interactive and not arguments.yes and not outcome.troubled)
    if outcome.troubled:
        complain(f"resolve the conflicts in {', '.join(outcome.troubled)}\n{HOW_TO_RESOLVE}")
        return 1
    return 0


def _link(project: Path, interactive: bool) -> None:
    """Link a project that got a new Lakebase if the user agrees, or say how to."""
    # Imports the Databricks SDK, which takes seconds.
    from lakebase_agent.link.link import link
    from lakebase_agent.link.options import LinkOptions

    question = "The project needs to be linked to its Lakebase. Do it now?"
    with suppress(KeyboardInterrupt):  # the update is done, even if linking is cancelled
        if interactive and ask(questionary.confirm(question)):
            link(project, LinkOptions(), Asker(interactive=True), say)
            return
    say(f"the project needs to be linked to its Lakebase; commit, then run: {LINK}")


COMMAND = Command(
    name="update",
    summary="bring a project to the next release, or to other answers",
    description=DESCRIPTION,
    epilog=EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
