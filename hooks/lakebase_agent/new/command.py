"""The command line of `lakebase-agent new`."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict

import questionary

from lakebase_agent.command_line import Command, add_data, to_answers
from lakebase_agent.new.new import (
    GeneratedProject,
    NewOptions,
    find_uv,
    new_project,
    of_uv,
    read_answers_file,
)
from lakebase_agent.new.starting import start
from lakebase_agent.template import TEMPLATE
from lakebase_agent.terminal import is_interactive

EXAMPLES = """\
examples:
  lakebase-agent new my-agent
  lakebase-agent new my-agent --data framework=openai --defaults
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("destination", metavar="DEST", help="the project's folder, new or empty")
    parser.add_argument(
        "--source",
        default=TEMPLATE,
        metavar="URL_OR_PATH",
        help="the template: a folder, or a git URL (%(default)s)",
    )
    add_data(parser)
    parser.add_argument("--answers", metavar="FILE", help="answers from a YAML file; --data wins")
    parser.add_argument("--defaults", action="store_true", help="ask nothing")
    parser.add_argument("--json", action="store_true", help="ask nothing, and print JSON")
    parser.add_argument("--no-install", action="store_true", help="do not install its packages")


def _run(arguments: argparse.Namespace) -> int:
    earlier, answers = read_answers_file(arguments.answers) if arguments.answers else ({}, {})
    options = NewOptions(
        arguments.destination,
        arguments.source,
        earlier,
        {**answers, **to_answers(arguments.data)},
        ask=not (arguments.defaults or arguments.json),
        install=not arguments.no_install,
        progress=sys.stderr.isatty() and not arguments.json,
    )
    with _output_to_stderr() if arguments.json else nullcontext():
        project = new_project(options)
    if arguments.json:
        print(json.dumps(asdict(project), indent=2))
    else:
        _print_next(project, options)
        if options.ask and project.installed and is_interactive():
            _offer_to_start(project)
    return 0


def _print_next(project: GeneratedProject, options: NewOptions) -> None:
    if options.install and not project.installed:
        print("Its packages are not installed yet.")
    print(f"\n{project.answers['app_name']} is ready, and needs no account to start:\n")
    print("\n".join(f"    {command}" for command in project.next))


def _offer_to_start(project: GeneratedProject) -> None:
    """Start the project until Ctrl-C, if the person wants that now; Ctrl-C means no, too."""
    print()
    if questionary.confirm("Start it now?").ask():
        start([find_uv(), "run", "--quiet", "start-app"], project.folder, of_uv())


@contextmanager
def _output_to_stderr() -> Iterator[None]:
    """Send what this process and its children print to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


COMMAND = Command(
    name="new",
    summary="generate a project",
    description="Generate a project in a new folder, and ask what it should be like.",
    epilog=EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
