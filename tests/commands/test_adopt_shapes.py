"""`lakebase-agent adopt` takes what a project has already, and refuses what has no agent."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakebase_agent.adopt.code.reading.calls import find_calls
from lakebase_agent.adopt.code.reading.modules import read_modules
from lakebase_agent.adopt.existing_agent import examine_agent
from lakebase_agent.errors import UsageError
from lakebase_agent.lakebase_variables import written
from lakebase_agent.project.bundle import read_bundle, read_host, read_target
from lakebase_agent.targets.target_file import TargetSettings, to_target
from tests.support.agents_with_memory import BUNDLE_WITH_MEMORY, with_memory
from tests.support.existing_agents import BUNDLE, adopted, app_template, run, write_agent
from tests.support.releases import git

FLAGS = ("--lakebase", "autoscaling")
BRANCH = "projects/p/branches/production"
FOR_DEV = """\
bundle: {name: b}
targets:
  dev:
    default: true
    resources:
      apps:
        mine:
          name: mine-dev
          config:
            command: ["uv", "run", "start"]
  prod:
    mode: production
"""
FRONT_END = {
    "requirements.txt": "streamlit\n",
    "app.yaml": "command: [streamlit]\n",
    "app.py": "import streamlit\n",
}
ONLY_LISTED = {**app_template("langgraph"), "agent_server/agent.py": "import os\n"}


@pytest.fixture(scope="module")
def advanced(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an adopted project that had a Lakebase, a schema and a memory of its own."""
    folder = write_agent(tmp_path_factory.mktemp("advanced") / "a", with_memory("langgraph"))
    adopted(folder, template)
    return folder


def bundle_of(folder: Path) -> dict[str, Any]:
    bundle: dict[str, Any] = yaml.safe_load((folder / "databricks.yml").read_text())
    return bundle


def test_the_schema_that_it_has_is_taken_everywhere(advanced: Path) -> None:
    settings = tomllib.loads((advanced / "pyproject.toml").read_text())["tool"]["lakebase-agent"]
    assert settings["LAKEBASE_AGENT_MEMORY_SCHEMA"] == "their_memory"
    note = yaml.safe_load((advanced / ".lakebase-agent.yml").read_text())
    assert note["memory_schema"] == "their_memory"


def test_no_variables_are_declared_that_nothing_would_use(advanced: Path) -> None:
    bundle = bundle_of(advanced)
    assert list(bundle["variables"]) == ["lakebase_branch"]
    assert "variables" not in bundle["targets"]["dev"]
    env = bundle["resources"]["apps"]["my_app"]["config"]["env"]
    names = [entry["name"] for entry in env if entry["name"] != "EMBEDDING_ENDPOINT"]
    assert names == ["LAKEBASE_AUTOSCALING_ENDPOINT", "LAKEBASE_AGENT_MEMORY_SCHEMA", "BRANCH"]


def test_a_schema_that_is_a_variable_is_known_by_its_default(tmp_path: Path) -> None:
    files = with_memory("langgraph")
    bundle = files["databricks.yml"].replace('"their_memory"', "${var.where}")
    files["databricks.yml"] = bundle.replace("variables:\n", "variables: \n  where: {default: w}\n")
    agent = examine_agent(write_agent(tmp_path / "a", files))
    assert agent.schema(agent.apps[0]) == "w"


def test_the_lakebase_that_is_written_in_a_bundle_is_known_to_doctor(advanced: Path) -> None:
    found = written(bundle_of(advanced))
    assert found == {"lakebase_branch": BRANCH, "lakebase_database": f"{BRANCH}/databases/d"}


def test_link_leaves_a_variable_alone_that_means_something_else(tmp_path: Path) -> None:
    settings = TargetSettings("https://h", {"lakebase_branch": BRANCH})
    other = yaml.safe_load(BUNDLE_WITH_MEMORY)
    assert BRANCH not in to_target(tmp_path, "dev", settings, other)
    written_out = BUNDLE_WITH_MEMORY.replace(f"branch: {BRANCH}", "branch: ${var.lakebase_branch}")
    same = yaml.safe_load(written_out)
    assert BRANCH in to_target(tmp_path, "dev", settings, same)


def test_a_name_that_link_would_need_is_refused(template: Path, tmp_path: Path) -> None:
    variables = "variables: {lakebase_branch: {default: production}}\n\nresources:\n  apps:"
    bundle = BUNDLE.replace("resources:\n  apps:", variables, 1)
    folder = write_agent(tmp_path / "a", {**app_template("langgraph"), "databricks.yml": bundle})
    done = run(folder, template, *FLAGS)
    assert (done.returncode, "variables called lakebase_branch" in done.stderr) == (2, True)
    assert git(folder, "status", "--porcelain") == ""


def test_placeholders_become_variables_that_link_sets(template: Path, tmp_path: Path) -> None:
    files = with_memory("langgraph")
    bundle = BUNDLE_WITH_MEMORY.partition("variables:")[0] + "resources:"
    bundle += BUNDLE_WITH_MEMORY.partition("resources:")[2].replace("${var.lakebase_branch}", "b")
    bundle = bundle.replace(f"{BRANCH}/databases/d", '"<your-database>"')
    files["databricks.yml"] = bundle.replace(BRANCH, "'projects/<p>/branches/<b>'")
    folder = write_agent(tmp_path / "a", files)
    adopted(folder, template)
    [postgres] = [
        r["postgres"] for r in bundle_of(folder)["resources"]["apps"]["my_app"]["resources"]
        if "postgres" in r
    ]  # fmt: skip
    assert postgres["branch"] == "${var.lakebase_branch}"
    assert postgres["database"] == "${var.lakebase_database}"
    assert bundle_of(folder)["include"] == ["workspace.*.yml"]


def test_a_placeholder_of_an_instance_is_filled_in_in_the_environment_too(
    template: Path, tmp_path: Path
) -> None:
    placeholder = '"<your-instance>"'
    variable = f"          - name: LAKEBASE_INSTANCE_NAME\n            value: {placeholder}\n"
    database = f"        - name: database\n          database: {{instance_name: {placeholder}}}\n"
    bundle = BUNDLE.replace("        env:\n", f"        env:\n{variable}")
    bundle = bundle.replace("        # NOTE: more of them here\n", database)
    files = {**app_template("langgraph"), "databricks.yml": bundle}
    adopted(write_agent(tmp_path / "a", files), template)
    assert placeholder not in (tmp_path / "a" / "databricks.yml").read_text()
    app = bundle_of(tmp_path / "a")["resources"]["apps"]["my_app"]
    values = {entry["name"]: entry.get("value") for entry in app["config"]["env"]}
    assert values["LAKEBASE_INSTANCE_NAME"] == "${var.lakebase_instance}"


def test_an_app_of_one_target_gets_its_lakebase_there(template: Path, tmp_path: Path) -> None:
    folder = write_agent(tmp_path / "a", {**app_template("openai"), "databricks.yml": FOR_DEV})
    said = adopted(folder, template, *FLAGS)
    bundle = bundle_of(folder)
    app = bundle["targets"]["dev"]["resources"]["apps"]["mine"]
    assert [item["name"] for item in app["resources"]] == ["postgres", "embeddings"]
    assert len(app["config"]["env"]) == 3
    assert "resources" not in bundle and "resources" not in bundle["targets"]["prod"]
    assert "Without a bundle" not in said and "databricks bundle run mine" in said


@pytest.mark.parametrize("files", [FRONT_END, ONLY_LISTED], ids=["front end", "only listed"])
def test_a_project_without_an_agent_is_told_that_alone(
    template: Path, tmp_path: Path, files: dict[str, str]
) -> None:
    done = run(write_agent(tmp_path / "a", files), template, *FLAGS)
    assert (done.returncode, "there is no agent in it" in done.stderr) == (2, True)
    assert "requirements.txt" not in done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "from deepagents import create_deep_agent as make\n\nit = make(tools=[])\nit.invoke({})",
        "import langchain.agents as la\n\ngraph = la.create_agent('m')\n",
        "from langgraph.graph import StateGraph\n\nit = StateGraph(dict).compile()\nit.invoke({})",
    ],
)
def test_an_agent_is_known_by_what_builds_it(tmp_path: Path, code: str) -> None:
    files = {**app_template("langgraph"), "agent_server/agent.py": code}
    agent = examine_agent(write_agent(tmp_path / "a", files))
    calls = find_calls(read_modules(agent), "langgraph")
    assert (len(calls.builds), len(calls.runs)) == (1, code.count("invoke"))


def test_a_regular_expression_is_no_agent(tmp_path: Path) -> None:
    code = "import re\nimport langgraph\n\nword = re.compile('a')\nword.match('a')\n"
    files = {**app_template("langgraph"), "agent_server/agent.py": code}
    calls = find_calls(read_modules(examine_agent(write_agent(tmp_path / "a", files))), "langgraph")
    assert (calls.builds, calls.runs) == ([], [])


PLACEHOLDERS = """\
          - name: LAKEBASE_AUTOSCALING_PROJECT
            value: "<your-project>"
          - name: LAKEBASE_AUTOSCALING_BRANCH
            value: production
"""


def test_placeholders_of_its_lakebase_are_listed_before_the_next_commands(
    template: Path, tmp_path: Path
) -> None:
    start = '          - name: MLFLOW_EXPERIMENT_ID\n            value_from: "experiment"\n'
    bundle = {"databricks.yml": BUNDLE.replace(start, PLACEHOLDERS + start)}
    folder = write_agent(tmp_path / "a", {**app_template("openai"), **bundle})
    said = adopted(folder, template, *FLAGS)
    told = said.partition("databricks.yml has placeholders")[2].partition("Then:")[0]
    assert "    LAKEBASE_AUTOSCALING_PROJECT: <your-project>\n" in told
    assert "LAKEBASE_AUTOSCALING_BRANCH" not in told


def test_without_placeholders_nothing_is_said_of_them(advanced: Path, template: Path) -> None:
    assert "placeholders" not in adopted(advanced, template, "--dry-run")


def test_what_its_postgres_packages_need_to_be_imported_is_required(advanced: Path) -> None:
    project = tomllib.loads((advanced / "pyproject.toml").read_text())["project"]
    assert "langchain-core>=1.2.5,<2" in project["dependencies"]


def test_a_wired_agent_is_told_where_the_thread_comes_from(template: Path, tmp_path: Path) -> None:
    folder = write_agent(tmp_path / "a", app_template("openai"))
    said = " ".join(adopted(folder, template, "--wire", *FLAGS).split())
    assert "A request without custom_inputs.thread_id starts a new thread" in said


APP = "resources: {apps: {a: {name: a, config: {command: [run], %s}, %s}}}\n"
WRONG = {
    "resources: [1]": "resources is a list, not a mapping",
    "resources: {apps: [a]}": "resources.apps is a list, not a mapping",
    "include: other.yml": "include is 'other.yml', not a list",
    "targets: [dev]": "targets is a list, not a mapping",
    "variables: {schema: mine}": "variables.schema is 'mine', not a mapping",
    APP % ("env: '${var.env}'", "x: 1"): "config.env is '${var.env}', not a list",
    APP % ("env: [A]", "x: 1"): "config.env[0] is 'A', not a mapping",
    APP % ("env: []", "resources: '${var.r}'"): "resources is '${var.r}', not a list",
    "targets: {dev: {resources: {apps: {a: []}}}}": "targets.dev.resources.apps.a is a list",
}


@pytest.mark.parametrize("part", WRONG)
def test_a_bundle_that_can_not_be_added_to_is_refused_by_the_part(
    template: Path, tmp_path: Path, part: str
) -> None:
    files = {**app_template("openai"), "databricks.yml": f"bundle: {{name: b}}\n{part}\n"}
    done = run(write_agent(tmp_path / "a", files), template, *FLAGS)
    assert (done.returncode, WRONG[part] in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("text", ["- a\n", "env: {A: b}\n", "env: [A]\n"])
def test_an_app_yaml_that_can_not_be_added_to_is_refused(
    template: Path, tmp_path: Path, text: str
) -> None:
    files = {**app_template("openai"), "databricks.yml": "bundle: {name: b}\n", "app.yaml": text}
    done = run(write_agent(tmp_path / "a", files), template, *FLAGS)
    assert (done.returncode, "app.yaml" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("pyproject", "step"),
    [
        ("", "uv init --bare && uv add -r requirements.in.txt"),
        ("[tool.ruff]\n", "give pyproject.toml a [project]"),
        ('[project]\nname = "a"\ndynamic = ["dependencies"]\n', "out of its `dynamic`"),
    ],
)
def test_the_commands_that_move_requirements_suit_the_pyproject_toml_that_is_there(
    template: Path, tmp_path: Path, pyproject: str, step: str
) -> None:
    files = {**app_template("openai"), "requirements.in.txt": "x\n", "pyproject.toml": pyproject}
    folder = write_agent(tmp_path / "a", files, in_git=False)
    if not pyproject:
        (folder / "pyproject.toml").unlink()
    done = run(folder, template, *FLAGS)
    assert (done.returncode, step in done.stderr) == (2, True)
    assert ("uv init" in done.stderr) == (not pyproject)


@pytest.mark.parametrize("part", list(WRONG)[:5])
def test_link_and_doctor_refuse_such_a_bundle_by_the_part(tmp_path: Path, part: str) -> None:
    (tmp_path / "databricks.yml").write_text(f"bundle: {{name: b}}\n{part}\n")
    with pytest.raises(UsageError, match=re.escape(WRONG[part])):
        read_bundle(tmp_path)


@pytest.mark.parametrize("text", ["targets:\n", "targets: {dev: }\n", "targets: {dev: {a: }}\n"])
def test_a_file_of_a_target_may_hold_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "workspace.dev.yml").write_text(text)
    assert (read_target(tmp_path, "dev"), read_host(tmp_path, "dev")) == ({}, "")
