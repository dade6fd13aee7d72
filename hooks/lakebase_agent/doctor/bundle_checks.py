"""What `doctor` checks without a workspace: the Databricks CLI, and the bundle's variables."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lakebase_agent.doctor.findings import Finding, ok, problem, skipped, warning
from lakebase_agent.doctor.linked_project import link_command
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


def check_variables(target: Target) -> Finding:
    """Return whether every variable of the bundle has a value."""
    values = target.variables
    missing = [name for name in target.bundle.get("variables") or {} if not values.get(name)]
    if missing:
        text = f"target {target.name} has no {', '.join(missing)}"
        return problem("bundle", text, link_command(target.name))
    if not target.bundle["bundle"]:
        return skipped("bundle", "the project has no databricks.yml")
    return ok("bundle", f"target {target.name} has every variable")


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
