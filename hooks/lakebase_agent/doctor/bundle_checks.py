"""What `doctor` checks without a workspace: the Databricks CLI, and the bundle's variables."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lakebase_agent.doctor.findings import Finding, ok, problem, skipped, warning
from lakebase_agent.doctor.linked_project import NAMED, RESOURCES, link_command, unread
from lakebase_agent.project.bundle import DEV
from lakebase_agent.targets.target import CREATED, Target

INSTALL_CLI = "https://docs.databricks.com/dev-tools/cli/install.html"
APART = ("lakebase_branch", "experiment_id")  # what each target has for itself
VERSION = re.compile(r"\d+\.\d+\.\d+")


def check_cli(files: Iterable[Mapping[str, Any]]) -> Finding:
    """Return whether the CLI is installed, and is as new as the files of the bundle need."""
    program = shutil.which("databricks")
    if not program:
        return problem("cli", "the Databricks CLI is not installed", INSTALL_CLI)
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    installed = VERSION.search(done.stdout)
    constraints = [
        str(file["bundle"].get("databricks_cli_version", ""))
        for file in files
        if file.get("bundle")
    ]
    found = [match[0] for match in map(VERSION.search, constraints) if match]
    needed = max(found, key=_numbers, default="")
    if not installed:
        return warning("cli", f"{program} does not print its version", INSTALL_CLI)
    if needed and _numbers(installed[0]) < _numbers(needed):
        return problem("cli", f"version {installed[0]} is older than {needed}", INSTALL_CLI)
    return ok("cli", f"version {installed[0]}")


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def check_variables(target: Target) -> Iterator[Finding]:
    """Yield whether every variable of the bundle has a value, and which can't be read here."""
    values = target.variables
    declared = (target.bundle.get("variables") or {}).keys() - target.looked_up
    missing = sorted(name for name in declared if not values.get(name))
    own = [name for name in missing if name not in (*NAMED, *RESOURCES)]
    for name, value in unread(target).items():
        text = f"only the Databricks CLI can read {name}, which is {value}"
        yield warning("bundle", text, f"export BUNDLE_VAR_{name}=<what it is>, then doctor again")
    if own:
        text = f"target {target.name} has no {', '.join(own)}, which link does not set"
        yield problem("bundle", text, f"set it in databricks.yml, or export BUNDLE_VAR_{own[0]}")
    if linked := [name for name in missing if name not in own]:
        text = f"target {target.name} has no {', '.join(linked)}"
        yield problem("bundle", text, link_command(target.name))
    if not target.bundle["bundle"]:
        yield skipped("bundle", "the project has no databricks.yml")
    elif not missing:
        yield ok("bundle", f"target {target.name} has every variable")


def check_shared(target: Target, others: Iterable[Target]) -> Iterator[Finding]:
    """Yield what two targets should not share: a mistake in one would be one in the other."""
    values = target.variables
    for other in others:
        theirs = other.variables
        same = [
            name
            for name in APART
            if values.get(name) == theirs.get(name) and CREATED not in values.get(name, CREATED)
        ]
        if same:
            text = f"{target.name} and {other.name} share {', '.join(same)}"
            name = target.name if target.name == DEV else other.name
            yield warning("targets", text, f"{link_command(name)} --create")
