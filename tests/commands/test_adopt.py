"""`lakebase-agent adopt`: what it adds to agents that were not generated, and what it leaves."""

import ast
import difflib
import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pexpect
import pytest
import yaml

from tests.support.commands import PROGRAM, at_terminal
from tests.support.existing_agents import (
    HOME_MADE,
    ODD,
    POETRY,
    REQUIREMENTS,
    WITH_APP_YAML,
    adopted,
    app_template,
    forgetful,
    run,
    write_agent,
)
from tests.support.places import ADOPTED, LAKEBASE, in_template
from tests.support.releases import commit, edit, git
from tests.support.rendering import copy_template

AUTOSCALING = ("--lakebase", "autoscaling")
MEMORY = "agent_server/lakebase_memory"
THEIR_LAKEBASE = """\
        - name: 'memory'
          database: {instance_name: ours, database_name: d, permission: CAN_CONNECT}
"""
SHAPES: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "langgraph": (app_template("langgraph"), AUTOSCALING),
    "openai": (app_template("openai"), ("--instance", "memory")),
    "odd": (ODD, ("--lakebase", "provisioned")),
    "app.yaml": (WITH_APP_YAML, AUTOSCALING),
}


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return every file of a project."""
    paths = [p for p in folder.rglob("*") if p.is_file() and ".git/" not in p.as_posix()]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths}


def removed_lines(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[str]:
    """Return the lines of the owner that are not there any more, by the bytes."""
    lines = []
    for name, old in before.items():
        left, right = (t.decode().splitlines(keepends=True) for t in (old, after[name]))
        lines += [line[2:] for line in difflib.ndiff(left, right) if line.startswith("- ")]
    return lines


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """Return a project like the LangGraph one of databricks/app-templates, committed."""
    return write_agent(tmp_path / "my agent", app_template("langgraph"))


class Adopted(NamedTuple):
    """An agent that was adopted: its files before and after, and what was printed."""

    folder: Path
    before: dict[str, bytes]
    after: dict[str, bytes]
    said: str

    @property
    def place(self) -> dict[str, str]:
        """Where its modules are."""
        place: dict[str, str] = yaml.safe_load(self.after[".lakebase-agent.yml"])["place"]
        return place


@pytest.fixture(scope="module", params=SHAPES)
def shape(
    request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Adopted:
    """Return an adopted agent of each shape, for tests that change nothing in it."""
    files, flags = SHAPES[request.param]
    folder = write_agent(tmp_path_factory.mktemp("shapes") / f"an {request.param} agent", files)
    before = snapshot(folder)
    said = adopted(folder, template, *flags)
    return Adopted(folder, before, snapshot(folder), said)


def test_only_requirements_among_the_owners_lines_change(shape: Adopted) -> None:
    changed = removed_lines(shape.before, shape.after)
    allowed = "(databricks|psycopg|openai|langgraph|config: {command|dev: {mode|include: \\[)"
    assert [line for line in changed if not re.search(allowed, line, re.IGNORECASE)] == []


def test_none_of_the_owners_other_files_are_touched(shape: Adopted) -> None:
    touched = {name for name, text in shape.before.items() if shape.after[name] != text}
    assert touched <= {"pyproject.toml", "databricks.yml", "app.yaml", ".env", ".env.example"}


def test_a_second_run_changes_no_byte(shape: Adopted, template: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(shape.folder, copy)
    commit(copy)
    assert "nothing to do" in adopted(copy, template)
    assert snapshot(copy) == shape.after


def test_its_modules_import_only_each_other_and_packages(shape: Adopted) -> None:
    folder, module = shape.place["folder"], shape.place["module"]
    for name in own_files(shape):
        for node in ast.walk(ast.parse(shape.after[name])):
            imported = str(node.module) if isinstance(node, ast.ImportFrom) else ""
            if imported.startswith(f"{module}."):
                path = imported.removeprefix(f"{module}.").replace(".", "/")
                assert {f"{folder}/{path}.py", f"{folder}/{path}/__init__.py"} & set(shape.after)
            assert imported.partition(".")[0] != "agent_server" or imported.startswith(module)


def test_it_gets_no_server_chat_or_background(shape: Adopted) -> None:
    folder = shape.place["folder"]
    found = {n.removeprefix(f"{folder}/") for n in own_files(shape) if n.startswith(f"{folder}/")}
    # Of one framework each.
    threads = {f"threads/{name}.py" for name in ("checkpoint_queries", "items", "saver")}
    own = {"context.py", "tool_failures.py", "on_behalf.py", "answers/content.py", *threads}
    assert found - own == ADOPTED


def test_its_modules_mention_no_command_of_a_generated_project(shape: Adopted) -> None:
    for name in own_files(shape):
        assert not re.search(b"start-app|copier |agent_server/", shape.after[name]), name


def test_settings_are_found_relative_to_the_modules(shape: Adopted) -> None:
    path = shape.folder / shape.place["folder"] / "settings.py"
    values: dict[str, Any] = {"__file__": str(path), "__name__": "settings"}
    exec(path.read_text(), values)
    assert values["ROOT"] == shape.folder
    assert "LAKEBASE_AGENT_MEMORY_SCHEMA" in values["DEFAULTS"]


def test_it_adds_exactly_the_settings_that_its_modules_read(shape: Adopted) -> None:
    code = "".join(shape.after[name].decode() for name in own_files(shape))
    read = set(re.findall(r'\b(?:setting|limit|kept)\(\s*"(\w+)"', code))
    constants = set(re.findall(r'^    "(\w+)": \d+,', code, re.MULTILINE))  # LIMITS
    added = tomllib.loads(shape.after["pyproject.toml"].decode())["tool"]["lakebase-agent"]
    assert added.keys() == read - constants | {"MEMORY", "LAKEBASE_AGENT_MEMORY_SCHEMA"}
    assert added["MEMORY"] == ["short_term", "long_term"]
    assert b"POOL_CONNECTIONS = 20  # to Postgres" in shape.after["pyproject.toml"]


def test_its_output_fits_80_columns(shape: Adopted) -> None:
    told = shape.said.partition("\n  add ")[2]
    assert "open_turn(" in told
    assert [line for line in told.splitlines() if len(line) > 80] == []


def test_the_code_it_prints_is_valid_python(shape: Adopted) -> None:
    told = shape.said.partition("Now connect")[2].partition("Then:")[0]
    blocks = re.findall(r"(?:^    .*\n)+", told, re.MULTILINE)
    assert len(blocks) >= 3
    for block in blocks:
        ast.parse("async def wired():\n" + block)


def own_files(shape: Adopted) -> list[str]:
    """Return the Python files that adoption added."""
    return [n for n in shape.after if n.endswith(".py") and n not in shape.before]


def test_the_app_gets_its_lakebase(agent: Path, template: Path) -> None:
    adopted(agent, template, *AUTOSCALING)
    bundle = yaml.safe_load((agent / "databricks.yml").read_text())
    app = bundle["resources"]["apps"]["my_app"]
    assert [item["name"] for item in app["resources"]] == ["experiment", "postgres", "embeddings"]
    env = {entry.pop("name"): entry for entry in app["config"]["env"]}
    assert env["LAKEBASE_AUTOSCALING_ENDPOINT"] == {"value_from": "postgres"}
    assert env["LAKEBASE_AGENT_MEMORY_SCHEMA"] == {"value": "${var.memory_schema}"}
    assert bundle["targets"]["dev"]["variables"] == {"memory_schema": "my_app_dev"}
    assert bundle["variables"]["memory_schema"]["default"] == "my_app"
    assert bundle["include"] == ["workspace.*.yml"]


def test_the_owners_version_bounds_are_kept(agent: Path, template: Path) -> None:
    adopted(agent, template, *AUTOSCALING)
    text = (agent / "pyproject.toml").read_text()
    listed = tomllib.loads(text)["project"]["dependencies"]
    assert "databricks-langchain[memory]>=0.12.0" in listed
    assert "langgraph>=1.0.1" in listed
    assert any(item.startswith("psycopg[binary,pool]>=") for item in listed)
    assert "# the model" in text


def test_an_unrelated_resource_of_the_same_name_is_left_alone(
    template: Path, tmp_path: Path
) -> None:
    folder = write_agent(tmp_path / "a", ODD)
    adopted(folder, template, "--lakebase", "provisioned")
    bundle, second = yaml.safe_load_all((folder / "databricks.yml").read_text())
    app = bundle["resources"]["apps"]["the agent"]
    names = [item["name"] for item in app["resources"]]
    assert names == ["database", "kept", "lakebase-database"]
    env = {entry["name"]: entry for entry in app["config"]["env"]}
    assert env["LAKEBASE_INSTANCE_NAME"]["value_from"] == "lakebase-database"
    assert env["EMBEDDING_ENDPOINT"]["value_from"] == "kept"
    assert bundle["variables"]["memory_schema"]["default"] == "kept"
    assert second == {"second": "document"}


def test_an_existing_lakebase_is_used(template: Path, tmp_path: Path) -> None:
    files = app_template("langgraph")
    note = "\n        # NOTE"
    files["databricks.yml"] = files["databricks.yml"].replace(note, THEIR_LAKEBASE + note)
    folder = write_agent(tmp_path / "a", files)
    adopted(folder, template)
    bundle = yaml.safe_load((folder / "databricks.yml").read_text())
    app = bundle["resources"]["apps"]["my_app"]
    entry = {"name": "LAKEBASE_INSTANCE_NAME", "value_from": "memory"}
    assert entry in app["config"]["env"]
    assert [item["name"] for item in app["resources"]] == ["experiment", "memory", "embeddings"]
    assert "lakebase_instance" not in bundle["variables"]


def test_app_yaml_gets_the_environment_and_keeps_its_line_endings(
    template: Path, tmp_path: Path
) -> None:
    folder = write_agent(tmp_path / "a", WITH_APP_YAML)
    said = adopted(folder, template, *AUTOSCALING)
    raw = (folder / "app.yaml").read_bytes()
    assert raw.count(b"\n") == raw.count(b"\r\n") == 10
    env = yaml.safe_load(raw)["env"]
    assert {"name": "LAKEBASE_AUTOSCALING_ENDPOINT", "valueFrom": "postgres"} in env
    assert {"name": "LAKEBASE_AGENT_MEMORY_SCHEMA", "value": "home_made"} in env
    assert "resource `postgres`" in said


def test_the_diff_is_what_is_written(agent: Path, template: Path, tmp_path: Path) -> None:
    shown = run(agent, template, *AUTOSCALING, "--dry-run").stdout
    assert git(agent, "status", "--porcelain") == ""
    patch = tmp_path / "shown.patch"
    patch.write_text(shown.partition("\n  add ")[0])
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(agent), str(copy)], check=True)
    git(copy, "apply", "--whitespace=nowarn", str(patch))
    adopted(agent, template, *AUTOSCALING)
    assert snapshot(copy) == snapshot(agent)


def test_a_secret_in_the_env_file_is_not_shown(agent: Path, template: Path) -> None:
    said = adopted(agent, template, "--project", "memory")
    assert "+LAKEBASE_AUTOSCALING_PROJECT=memory" in said
    assert "dapi-secret" not in said
    assert "dapi-secret" in (agent / ".env").read_text()


def test_the_lines_to_paste_are_written_for_the_owners_code(agent: Path, template: Path) -> None:
    said = adopted(agent, template, *AUTOSCALING)
    assert "from agent_server.lakebase_memory.turn import open_turn" in said
    assert "(tools=[*tools, *memory_tools()], model=ChatOpenAI(model='any'))\n" in said
    assert "    turn.graph(agent).astream(\n        input=await turn.to_input(messages),\n" in said
    assert "        config=turn.config,\n        context=turn.user,\n    )\n" in said
    lines = (agent / "agent_server/agent.py").read_text().splitlines()
    number = lines.index('    return create_agent(tools=tools, model=ChatOpenAI(model="any"))') + 1
    assert f"agent_server/agent.py:{number}: build" in said


def test_what_the_memory_replaces_is_left_out_and_reported(template: Path, tmp_path: Path) -> None:
    call = 'Runner.run_sync(agent, "hi", context=mine)'
    files = forgetful("openai")
    files["agent/main.py"] = f"from agents import Agent, Runner\n\nagent = Agent('x')\n{call}\n"
    said = adopted(write_agent(tmp_path / "a", files), template, *AUTOSCALING)
    told = ["await turn.save(", "await Runner.run(", "agent,", "await turn.to_input('hi'),"]
    assert re.search(r"\s+".join(map(re.escape, [*told, "context=turn.context,"])), said)
    assert "replaces its own context" in said


def test_only_short_term_memory_needs_no_embeddings(agent: Path, template: Path) -> None:
    said = adopted(agent, template, *AUTOSCALING, "--memory", "short_term")
    assert "memory_tools" not in said
    assert "EMBEDDING" not in (agent / "databricks.yml").read_text()
    assert not (agent / MEMORY / "database" / "memory.py").exists()
    settings = tomllib.loads((agent / "pyproject.toml").read_text())["tool"]["lakebase-agent"]
    assert settings["MEMORY"] == ["short_term"]
    assert not {"EMBEDDING_DIMS", "MEMORIES_FOUND", "MODEL_ENDPOINT"} & settings.keys()


def test_only_long_term_memory_needs_no_threads(agent: Path, template: Path) -> None:
    adopted(agent, template, *AUTOSCALING, "--memory", "long_term")
    assert not (agent / MEMORY / "threads" / "store.py").exists()
    for path in (agent / MEMORY).rglob("*.py"):
        for module in re.findall(r"agent_server\.lakebase_memory[.\w]*", path.read_text()):
            place = agent.joinpath(*module.split("."))
            assert place.is_dir() or place.with_suffix(".py").is_file(), f"{path}: {module}"


@pytest.mark.parametrize(
    ("files", "flags", "said"),
    [
        (POETRY, AUTOSCALING, "uvx migrate-to-uv"),
        (REQUIREMENTS, AUTOSCALING, "uv add -r requirements.txt"),
        ({"app.py": HOME_MADE}, AUTOSCALING, "no pyproject.toml lists its dependencies"),
        ({**ODD, "databricks.yml": "bundle: {}"}, AUTOSCALING, "adopt is for a Databricks App"),
        (app_template("langgraph"), (), "--lakebase: autoscaling, provisioned"),
        (app_template("langgraph"), ("--lakebase", "local"), "'local' does not work"),
        (app_template("langgraph"), (*AUTOSCALING, "--memory", "chat"), "'chat' does not work"),
        (app_template("langgraph"), (*AUTOSCALING, "--instance", "m"), "--instance is for"),
        (app_template("langgraph"), (*AUTOSCALING, "--package", "no"), "'no' is not a folder"),
        (app_template("langgraph"), (*AUTOSCALING, "--schema", "pg_x"), "pg_x"),
        ({**WITH_APP_YAML, "app.yaml": "a: b: c"}, AUTOSCALING, "is not YAML"),
        ({**WITH_APP_YAML, "app.yaml": "env: &e []\nmore: *e\n"}, AUTOSCALING, "*e repeats what"),
        ({**WITH_APP_YAML, "app.py": "import langgraph"}, AUTOSCALING, "there is no agent in it"),
    ],
)  # fmt: skip
def test_an_unsupported_project_is_refused_and_left_alone(
    template: Path, tmp_path: Path, files: dict[str, str], flags: tuple[str, ...], said: str
) -> None:
    folder = write_agent(tmp_path / "a", {"README.md": "", **files})
    before = snapshot(folder)
    done = run(folder, template, *flags)
    assert done.returncode == 2, done
    assert said in done.stderr
    assert snapshot(folder) == before


def test_imports_decide_between_two_frameworks(template: Path, tmp_path: Path) -> None:
    files = app_template("openai")
    both = '"openai-agents", "langgraph"'
    files["pyproject.toml"] = files["pyproject.toml"].replace('"openai-agents>=0.4.1"', both)
    folder = write_agent(tmp_path / "a", files)
    adopted(folder, template, *AUTOSCALING)
    assert (folder / MEMORY / "context.py").is_file()


def test_uncommitted_changes_are_refused(agent: Path, template: Path) -> None:
    (agent / "README.md").write_text("# Mine\n")
    done = run(agent, template, *AUTOSCALING)
    assert (done.returncode, "commit or stash" in done.stderr) == (2, True)
    assert not (agent / MEMORY).exists()


def test_a_folder_without_git_is_adopted(template: Path, tmp_path: Path) -> None:
    folder = write_agent(tmp_path / "a", app_template("langgraph"), in_git=False)
    assert "git does not track" in adopted(folder, template, *AUTOSCALING)
    assert (folder / MEMORY / "turn.py").is_file()


def test_without_a_terminal_it_needs_yes(agent: Path, template: Path) -> None:
    done = run(agent, template, *AUTOSCALING, yes=False)
    assert (done.returncode, "Add --yes" in done.stderr) == (2, True)
    assert not (agent / MEMORY).exists()


@pytest.mark.parametrize("answer", ["\x03", "n\r"], ids=["ctrl-c", "no"])
def test_declining_changes_nothing(agent: Path, template: Path, answer: str) -> None:
    before = snapshot(agent)
    child = at_terminal(agent, "adopt", "--source", str(template), *AUTOSCALING)
    child.expect(r"Change these \d+ files")
    child.send(answer)
    child.expect("nothing was written")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    assert snapshot(agent) == before


def test_a_failure_halfway_through_changes_nothing(agent: Path, template: Path) -> None:
    (agent / ".env.example").unlink()
    commit(agent)
    before = snapshot(agent)
    # git does not see it: an empty folder where a file must go, after others are written.
    (agent / ".env.example").mkdir()
    done = run(agent, template, *AUTOSCALING)
    assert (done.returncode, ".env.example" in done.stderr) == (2, True)
    assert snapshot(agent) == before
    assert not (agent / MEMORY).exists()


def test_update_in_an_adopted_project_points_to_adopt(agent: Path, template: Path) -> None:
    adopted(agent, template, *AUTOSCALING)
    command = [str(PROGRAM), "update", str(agent)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, "Run: lakebase-agent adopt" in done.stderr) == (2, True)


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    """Return a template in git, at its first release."""
    folder = copy_template(tmp_path / "the template")
    git(folder, "init", "--quiet")
    commit(folder)
    git(folder, "tag", "v0.0.1")
    return folder


def release(folder: Path, old: str, new: str) -> None:
    """Publish a version whose lakebase.py has another line."""
    edit(in_template(LAKEBASE, folder), lambda text: text.replace(old, new))
    pyproject = folder / "template/pyproject.toml.jinja"
    edit(
        pyproject,
        lambda text: text.replace("psycopg[binary,pool]>=3.3.9", "psycopg[binary,pool]>=3.4"),
    )
    commit(folder)
    git(folder, "tag", "v0.0.2")


def test_the_next_version_is_merged_with_the_owners_edits(agent: Path, releases: Path) -> None:
    adopted(agent, releases, *AUTOSCALING)
    module = agent / MEMORY / "database" / "lakebase.py"
    edit(module, lambda text: text + "# mine\n")
    (agent / MEMORY / "memory.py").unlink()
    commit(agent)
    release(releases, "name different Lakebases. Unset", "name two Lakebases. Unset")
    adopted(agent, releases)
    assert "name two Lakebases" in module.read_text()
    assert module.read_text().endswith("# mine\n")
    assert not (agent / MEMORY / "memory.py").exists()
    assert "psycopg[binary,pool]>=3.4" in (agent / "pyproject.toml").read_text()


@pytest.mark.slow
def test_a_conflict_is_listed_and_exits_with_1(agent: Path, releases: Path) -> None:
    adopted(agent, releases, *AUTOSCALING)
    module = agent / MEMORY / "database" / "lakebase.py"
    edit(module, lambda text: text.replace("different Lakebases", "other Lakebases"))
    commit(agent)
    release(releases, "different Lakebases", "two Lakebases")
    done = run(agent, releases)
    assert done.returncode == 1
    assert f"{MEMORY}/database/lakebase.py" in done.stderr
    assert "<<<<<<<" in module.read_text()


def test_an_answer_that_is_known_cannot_be_given_again(agent: Path, template: Path) -> None:
    adopted(agent, template, *AUTOSCALING)
    commit(agent)
    done = run(agent, template, "--memory", "short_term")
    assert (done.returncode, "leave out --memory" in done.stderr) == (2, True)
