"""The command line of `lakebase-agent doctor`."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from lakebase_agent.command_line import Command, add_path, add_target

EXAMPLES = """\
examples:
  lakebase-agent doctor
  lakebase-agent doctor --target prod --deployed
  lakebase-agent doctor --target prod --json

exit codes: 0 no problem, 1 at least one, 2 bad usage
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser)
    parser.add_argument("--profile", default="", metavar="NAME", help="profile of the CLI")
    add_target(parser)
    parser.add_argument(
        "--deployed", action="store_true", help="ask the running app, too, as yourself"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def _run(arguments: argparse.Namespace) -> int:
    # Imports the SDK of Databricks, which takes seconds.
    from lakebase_agent.doctor.doctor import examine

    findings = []
    folder = Path(arguments.path).resolve()
    for finding in examine(folder, arguments.target, arguments.profile, arguments.deployed):
        findings.append(finding)
        if not arguments.json:
            print(finding, flush=True)
    if arguments.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    return 1 if any(finding.state == "problem" for finding in findings) else 0


COMMAND = Command(
    name="doctor",
    summary="find what is wrong between a project and its workspace",
    description="Check a project and its workspace, and say how to fix what is wrong.\n"
    "Changes nothing.",
    epilog=EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
