"""What `doctor` checks without a workspace: the Databricks CLI, and the bundle's variables."""

import re
import shutil
import subprocess
from typing import Any

from lakebase_agent.doctor.findings import Finding, ok, problem, skipped, warning
from lakebase_agent.doctor.linked_project import link_command

INSTALL_CLI = "https://docs.databricks.com/dev-tools/cli/install.html"
VERSION = re.compile(r"\d+\.\d+\.\d+")


def check_cli(bundle: dict[str, Any]) -> Finding:
    """Return whether the CLI is installed, and is as new as the bundle needs."""
    program = shutil.which("databricks")
    if not program:
        return problem("cli", "the Databricks CLI is not installed", INSTALL_CLI)
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    installed = VERSION.search(done.stdout)
    needed = VERSION.search(str(bundle["bundle"].get("databricks_cli_version", "")))
    if not installed:
        return warning("cli", f"{program} does not print its version", INSTALL_CLI)
    if needed and _numbers(installed[0]) < _numbers(needed[0]):
        return problem("cli", f"version {installed[0]} is older than {needed[0]}", INSTALL_CLI)
    return ok("cli", f"version {installed[0]}")


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def check_variables(bundle: dict[str, Any], values: dict[str, str], target: str) -> Finding:
    """Return whether every variable of the bundle has a value or a default."""
    declared = (bundle.get("variables") or {}).items()
    missing = [
        name
        for name, declaration in declared
        if not values.get(name) and "default" not in (declaration or {})
    ]
    if missing:
        text = f"target {target} has no {', '.join(missing)}"
        return problem("bundle", text, link_command(target))
    if not bundle["bundle"]:
        return skipped("bundle", "the project has no databricks.yml")
    return ok("bundle", f"target {target} has every variable")
