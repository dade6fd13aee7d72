"""What is rendered, for every combination of answers."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import jsonschema
import pytest
import yaml

from tests.conftest import Renders
from tests.support.code_lines import code_lines
from tests.support.rendering import (
    COMBINATIONS,
    OWNED,
    REPOSITORY,
    Combination,
    expected_files,
    render,
)

SCHEMA = REPOSITORY.parent / "shared" / "reference" / "bundle-schema.json"
LEFTOVER = r"\{%|(?<!\$)\{\{ |^\s*#:"
# What the server has by itself, and what each choice adds to it.
SERVER_LINES, CHOICE_LINES, SCRIPT_LINES = 1247, {"background": 779, "chat": 370}, 166
every = pytest.mark.parametrize("combination", COMBINATIONS, ids=str)


def files(project: Path) -> list[Path]:
    return [path for path in project.rglob("*") if path.is_file()]


def functions(project: Path) -> list[ast.AST]:
    trees = [ast.parse(path.read_text()) for path in (project / "agent_server").glob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@cache
def bundle_validator() -> Any:
    """Return what checks a bundle; Python's patterns have other names for letters and digits."""
    text = SCHEMA.read_text().replace(r"[\\p{L}\\p{N}]", r"\\w").replace(r"\\p{L}", r"[^\\W\\d_]")
    return jsonschema.Draft202012Validator(json.loads(text))


@every
def test_a_project_has_exactly_its_files(renders: Renders, combination: Combination) -> None:
    project = renders[combination]
    assert {str(p.relative_to(project)) for p in files(project)} == expected_files(combination)


@every
def test_every_file_parses_in_its_own_language(renders: Renders, combination: Combination) -> None:
    parsers: dict[str, Any] = {".py": ast.parse, ".toml": tomllib.loads, ".yml": yaml.safe_load}
    for path in files(renders[combination]):
        parsers.get(path.suffix, str)(path.read_text("utf-8"))


@every
def test_nothing_of_the_template_language_is_left(
    renders: Renders, combination: Combination
) -> None:
    for path in files(renders[combination]):
        assert not re.search(LEFTOVER, path.read_text("utf-8"), re.MULTILINE), path


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=str)
def test_a_fresh_project_needs_no_formatter_and_no_linter(
    renders: Renders, command: list[str]
) -> None:
    root = {renders[combination].parent for combination in COMBINATIONS}.pop()
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", str(root)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("framework", ["langgraph", "openai"])
@pytest.mark.parametrize("name", OWNED)
def test_an_owned_file_is_the_same_for_every_memory_and_lakebase(
    renders: Renders, framework: str, name: str
) -> None:
    contents = {(renders[c] / name).read_bytes() for c in COMBINATIONS if c.framework == framework}
    assert len(contents) == 1


@every
def test_the_owner_has_little_code(renders: Renders, combination: Combination) -> None:
    project = renders[combination]
    more = sum(CHOICE_LINES.get(choice, 0) for choice in combination.memory)
    for folder, most in {"agent_server": SERVER_LINES + more, "scripts": SCRIPT_LINES}.items():
        code = list((project / folder).glob("*.py"))
        assert sum(map(code_lines, code)) <= most
        assert all(len(path.read_text().splitlines()) <= 200 for path in code)
    assert sum(code_lines(project / name) for name in OWNED) <= 120


@every
def test_functions_are_short(renders: Renders, combination: Combination) -> None:
    lengths = [f.end_lineno - f.lineno for f in functions(renders[combination])]  # type: ignore[attr-defined]
    assert median(lengths) <= 10
    assert max(lengths) <= 40


@every
def test_the_bundle_is_one_the_databricks_cli_accepts(
    renders: Renders, combination: Combination
) -> None:
    if not SCHEMA.exists():
        pytest.skip(f"{SCHEMA} is not here; it is the JSON schema of bundles")
    bundle = yaml.safe_load((renders[combination] / "databricks.yml").read_text())
    assert not list(bundle_validator().iter_errors(bundle))


@pytest.mark.skipif(not SCHEMA.exists(), reason="the JSON schema of bundles is not here")
def test_the_bundle_check_finds_a_misspelt_key() -> None:
    bundle = {"resources": {"apps": {"a": {"name": "a", "source_code_pth": "."}}}}
    assert list(bundle_validator().iter_errors(bundle))


@every
def test_the_bundle_names_a_lakebase_only_when_one_is_needed_and_chosen(
    renders: Renders, combination: Combination
) -> None:
    bundle = yaml.safe_load((renders[combination] / "databricks.yml").read_text())
    kinds = {key for r in bundle["resources"]["apps"]["my_agent"]["resources"] for key in r}
    named = {"autoscaling": {"postgres"}, "provisioned": {"database"}, "local": set()}
    wanted = named[combination.lakebase] if combination.memory else set()
    assert kinds & {"postgres", "database"} == wanted


@every
def test_the_bundle_refers_only_to_resources_and_variables_it_has(
    renders: Renders, combination: Combination
) -> None:
    text = (renders[combination] / "databricks.yml").read_text()
    bundle = yaml.safe_load(text)
    app = bundle["resources"]["apps"]["my_agent"]
    sources = {env["value_from"] for env in app["config"]["env"] if "value_from" in env}
    assert sources == {resource["name"] for resource in app["resources"]}
    assert set(re.findall(r"\$\{var\.(\w+)\}", text)) == set(bundle["variables"])


@every
def test_each_target_has_an_app_and_a_schema_of_its_own(
    renders: Renders, combination: Combination
) -> None:
    bundle = yaml.safe_load((renders[combination] / "databricks.yml").read_text())
    dev, prod = (bundle["targets"][name]["variables"] for name in ("dev", "prod"))
    assert (dev["app_name"], prod["app_name"]) == ("my-agent-dev", "my-agent")
    schemas = ("my_agent_dev", "my_agent") if combination.memory else (None, None)
    assert (dev.get("memory_schema"), prod.get("memory_schema")) == schemas


def test_the_longest_app_name_has_room_for_the_target(template: Path, tmp_path: Path) -> None:
    project = render(template, COMBINATIONS[0], tmp_path, app_name="a" * 25 + "-bcde")
    bundle = yaml.safe_load((project / "databricks.yml").read_text())
    assert bundle["targets"]["dev"]["variables"]["app_name"] == "a" * 25 + "-dev"


@every
def test_the_example_environment_sets_nothing_and_names_what_fits(
    renders: Renders, combination: Combination
) -> None:
    text = (renders[combination] / ".env.example").read_text()
    assert all(line.startswith("#") for line in text.split("\n") if line)
    fits = {"autoscaling": "AUTOSCALING_BRANCH", "provisioned": "INSTANCE_NAME", "local": None}
    named = re.findall(r"^# LAKEBASE_(AUTOSCALING_BRANCH|INSTANCE_NAME)=", text, re.MULTILINE)
    assert named == [fits[combination.lakebase]] * bool(
        combination.memory and fits[combination.lakebase]
    )
    assert ("EMBEDDING_DIMS" in text) == ("long_term" in combination.memory)


@every
def test_a_project_depends_on_the_documented_package(
    renders: Renders, combination: Combination
) -> None:
    project = tomllib.loads((renders[combination] / "pyproject.toml").read_text())["project"]
    package = {"langgraph": "databricks-langchain", "openai": "databricks-openai"}
    wanted = f"{package[combination.framework]}[memory]"
    assert any(dependency.startswith(wanted) for dependency in project["dependencies"])
    assert all("<" in dependency for dependency in project["dependencies"])
