"""What is rendered, for every combination of answers.

Each test goes over all combinations and collects what is wrong, with the combination in front.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Renders
from tests.support.bundles import SCHEMA, bundle_problems
from tests.support.code_lines import code_lines
from tests.support.rendering import (
    COMBINATIONS,
    OWNED,
    Combination,
    expected_files,
    render,
)

# Markdown without a blank line where one ends: a text would be the last row of a table.
RUN_TOGETHER = re.compile(r"^\|.*\n[^|\n].*|^[^|\n].*\n\|.*|^.+\n#+ .*", re.MULTILINE)
LEFTOVER = r"\{%|(?<!\$)\{\{ |^\s*#:"
PARSERS: dict[str, Callable[[str], Any]] = {
    ".py": ast.parse,
    ".toml": tomllib.loads,
    ".yml": yaml.safe_load,
    ".yaml": yaml.safe_load,
}
Find = Callable[[Path, Combination], Iterable[object]]


def every(renders: Renders, find: Find) -> list[str]:
    """Return what `find` finds in the projects, each with the combination in front."""
    return [f"{c}: {found}" for c in renders.chosen for found in find(renders[c], c)]


def files(project: Path) -> list[Path]:
    """Return the files of a project."""
    return [path for path in project.rglob("*") if path.is_file()]


@cache
def problem_of(suffix: str, text: str) -> str:
    """Return why a file's text is not valid in its own language, or nothing."""
    try:
        PARSERS.get(suffix, str)(text)
    except (SyntaxError, ValueError, yaml.YAMLError) as error:
        return str(error)
    return ""


def bundle_of(project: Path) -> Any:
    """Return the bundle of a project."""
    return yaml.safe_load((project / "databricks.yml").read_text())


def test_a_project_has_exactly_its_files(renders: Renders) -> None:
    def find(project: Path, combination: Combination) -> set[str]:
        found = {path.relative_to(project).as_posix() for path in files(project)}
        return found ^ expected_files(combination)

    assert every(renders, find) == []


def test_every_file_parses_in_its_own_language(renders: Renders) -> None:
    def find(project: Path, _: Combination) -> Iterator[str]:
        for path in files(project):
            if problem := problem_of(path.suffix, path.read_text("utf-8")):
                yield f"{path.relative_to(project)}: {problem}"

    assert every(renders, find) == []


def test_nothing_of_the_template_language_is_left(renders: Renders) -> None:
    def find(project: Path, _: Combination) -> list[Path]:
        texts = {path.relative_to(project): path.read_text("utf-8") for path in files(project)}
        return [path for path, text in texts.items() if re.search(LEFTOVER, text, re.MULTILINE)]

    assert every(renders, find) == []


def test_a_blank_line_ends_every_table_and_paragraph(renders: Renders) -> None:
    def find(project: Path, _: Combination) -> Iterator[str]:
        for path in project.glob("*.md"):
            prose = re.sub("^```.*?^```", "", path.read_text("utf-8"), flags=re.M | re.DOTALL)
            yield from RUN_TOGETHER.findall(prose)

    assert every(renders, find) == []


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=str)
def test_a_fresh_project_needs_no_formatter_and_no_linter(
    renders: Renders, command: list[str]
) -> None:
    root = {renders[combination].parent for combination in renders.chosen}.pop()
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", str(root)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_an_owned_file_is_the_same_for_every_memory_and_lakebase(renders: Renders) -> None:
    def find(project: Path, combination: Combination) -> list[str]:
        first = renders[next(c for c in COMBINATIONS if c.framework == combination.framework)]
        return [n for n in OWNED if (project / n).read_bytes() != (first / n).read_bytes()]

    assert every(renders, find) == []


def test_the_code_is_the_same_for_every_lakebase(renders: Renders) -> None:
    def find(project: Path, combination: Combination) -> list[str]:
        local = renders[replace(combination, lakebase="local")]
        names = [path.relative_to(project).as_posix() for path in project.rglob("*.py")]
        names.append("pyproject.toml")
        return [n for n in names if (project / n).read_bytes() != (local / n).read_bytes()]

    assert every(renders, find) == []


def test_the_owner_has_little_code(renders: Renders) -> None:
    def find(project: Path, _: Combination) -> Iterator[str]:
        if (lines := sum(code_lines(project / name) for name in OWNED)) > 120:
            yield f"the owner's files: {lines} lines of code"

    assert every(renders, find) == []


@pytest.mark.skipif(not SCHEMA.exists(), reason=f"{SCHEMA}, the schema of bundles, is not here")
def test_the_bundle_is_one_the_databricks_cli_accepts(renders: Renders) -> None:
    def find(project: Path, _: Combination) -> Iterator[object]:
        yield from bundle_problems(bundle_of(project))

    assert every(renders, find) == []


@pytest.mark.skipif(not SCHEMA.exists(), reason=f"{SCHEMA}, the schema of bundles, is not here")
def test_the_bundle_check_finds_a_misspelt_key() -> None:
    bundle = {"resources": {"apps": {"a": {"name": "a", "source_code_pth": "."}}}}
    assert list(bundle_problems(bundle))


def test_the_bundle_names_a_lakebase_only_when_one_is_needed_and_chosen(renders: Renders) -> None:
    named = {"autoscaling": {"postgres"}, "provisioned": {"database"}, "local": set[str]()}

    def find(project: Path, combination: Combination) -> set[str]:
        resources = bundle_of(project)["resources"]["apps"]["my_agent"]["resources"]
        kinds = {key for resource in resources for key in resource} & {"postgres", "database"}
        return kinds ^ (named[combination.lakebase] if combination.memory else set())

    assert every(renders, find) == []


def test_the_bundle_refers_only_to_resources_and_variables_it_has(renders: Renders) -> None:
    def find(project: Path, _: Combination) -> set[str]:
        text, bundle = (project / "databricks.yml").read_text(), bundle_of(project)
        app = bundle["resources"]["apps"]["my_agent"]
        sources = {env["value_from"] for env in app["config"]["env"] if "value_from" in env}
        variables = set(re.findall(r"\$\{var\.(\w+)\}", text))
        resources = {resource["name"] for resource in app["resources"]}
        return (sources ^ resources) | (variables ^ set(bundle["variables"]))

    assert every(renders, find) == []


def test_the_deploy_button_starts_the_app_as_the_bundle_does(renders: Renders) -> None:
    def find(project: Path, _: Combination) -> Iterator[object]:
        button = yaml.safe_load((project / "app.yaml").read_text())
        app = bundle_of(project)["resources"]["apps"]["my_agent"]
        if button["command"] != app["config"]["command"]:
            yield button["command"]
        sources = {env["name"]: env.get("value_from") for env in app["config"]["env"]}
        for env in button.get("env", []):
            if env["valueFrom"] != sources.get(env["name"]):
                yield env

    assert every(renders, find) == []


def test_a_project_without_lakebase_runs_locally_as_the_cli_runs_apps(renders: Renders) -> None:
    # run-local (cmd/apps/run_local.go) refuses a valueFrom that no variable replaces.
    def find(project: Path, combination: Combination) -> Iterator[object]:
        button = yaml.safe_load((project / "app.yaml").read_text())
        if "env" in button and (combination.lakebase == "local" or not combination.memory):
            yield button["env"]

    assert every(renders, find) == []


# As `databricks apps run-local` sets them, and as Databricks Apps does.
ON_THIS_MACHINE = {"DATABRICKS_APP_NAME": "app", "DATABRICKS_APP_URL": "http://127.0.0.1:8000"}
IN_APPS = {"DATABRICKS_APP_NAME": "my-agent", "DATABRICKS_APP_URL": "https://my-agent.example.com"}


@pytest.mark.parametrize(
    ("variables", "deployed"),
    [
        (ON_THIS_MACHINE, False),
        (IN_APPS, True),
        ({"DATABRICKS_APP_NAME": "my-agent"}, True),
        ({"DATABRICKS_APP_URL": "https://my-agent.example.com"}, False),
    ],
)
def test_an_app_that_the_cli_runs_locally_is_not_taken_for_a_deployed_one(
    renders: Renders, variables: dict[str, str], deployed: bool
) -> None:
    asked = "from agent_server.settings import in_databricks_app; print(in_databricks_app())"
    command = [sys.executable, "-c", asked]
    folder = renders[COMBINATIONS[0]]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.stdout.strip() == str(deployed), done.stderr


def test_each_target_has_an_app_and_a_schema_of_its_own(renders: Renders) -> None:
    def find(project: Path, combination: Combination) -> Iterator[object]:
        targets = bundle_of(project)["targets"]
        dev, prod = (targets[name]["variables"] for name in ("dev", "prod"))
        if (apps := (dev["app_name"], prod["app_name"])) != ("my-agent-dev", "my-agent"):
            yield apps
        schemas = ("my_agent_dev", "my_agent") if combination.memory else (None, None)
        if (found := (dev.get("memory_schema"), prod.get("memory_schema"))) != schemas:
            yield found

    assert every(renders, find) == []


def test_the_longest_app_name_has_room_for_the_target(template: Path, tmp_path: Path) -> None:
    project = render(template, COMBINATIONS[0], tmp_path, app_name="a" * 25 + "-bcde")
    bundle = bundle_of(project)
    assert bundle["targets"]["dev"]["variables"]["app_name"] == "a" * 25 + "-dev"


def test_the_example_environment_sets_nothing(renders: Renders) -> None:
    def find(project: Path, _: Combination) -> list[str]:
        lines = (project / ".env.example").read_text().split("\n")
        return [line for line in lines if line and not line.startswith("#")]

    assert every(renders, find) == []


def test_the_example_environment_names_what_fits_the_project(renders: Renders) -> None:
    fits = {"autoscaling": ["AUTOSCALING_BRANCH"], "provisioned": ["INSTANCE_NAME"], "local": []}

    def find(project: Path, combination: Combination) -> Iterator[object]:
        text = (project / ".env.example").read_text()
        pattern = r"^# LAKEBASE_(AUTOSCALING_BRANCH|INSTANCE_NAME)="
        named = re.findall(pattern, text, re.MULTILINE)
        if named != (fits[combination.lakebase] if combination.memory else []):
            yield named
        if ("EMBEDDING_DIMS" in text) != ("long_term" in combination.memory):
            yield "EMBEDDING_DIMS"

    assert every(renders, find) == []


def test_a_project_depends_on_the_documented_package(renders: Renders) -> None:
    packages = {"langgraph": "databricks-langchain", "openai": "databricks-openai"}

    def find(project: Path, combination: Combination) -> Iterator[str]:
        given = tomllib.loads((project / "pyproject.toml").read_text())["project"]["dependencies"]
        wanted = f"{packages[combination.framework]}[memory]"
        if not any(dependency.startswith(wanted) for dependency in given):
            yield f"not {wanted}"
        yield from (dependency for dependency in given if "<" not in dependency)

    assert every(renders, find) == []
