"""`lakebase-agent link`: what it looks up, what it writes, and how it fails."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
import yaml

from lakebase_agent.project.env_file import read_env
from lakebase_agent.workspace.schemas import personal_schema
from tests.conftest import Renders
from tests.standins.http_proxy import open_http_proxy
from tests.standins.workspace import (
    APP,
    BRANCH_PATH,
    DATABASE_PATH,
    ENDPOINT_PATH,
    INSTANCE,
    ME,
    Workspace,
    open_workspace,
)
from tests.support.commands import Done, at_terminal, run_here
from tests.support.existing_agents import adopted, app_template, write_agent
from tests.support.rendering import Combination, render

BOTH = ("short_term", "long_term")
PLACE = ("--project", "agents", "--branch", "production")


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """Yield a workspace that the environment leads to."""
    for name in [name for name in os.environ if name.startswith(("DATABRICKS_", "CI"))]:
        monkeypatch.delenv(name)
    with open_workspace() as workspace:
        for name, value in workspace.variables(PROMPT_TOOLKIT_NO_CPR="1").items():
            monkeypatch.setenv(name, value)
        yield workspace


@pytest.fixture
def project(request: pytest.FixtureRequest, renders: Renders, tmp_path: Path) -> Path:
    """Return a project on an autoscaling Lakebase, or what the test asks for."""
    flavour = getattr(request, "param", "autoscaling")
    folder = tmp_path / "my agent"
    shutil.copytree(renders[Combination("langgraph", BOTH, flavour)], folder)
    return folder


def link(project: Path, *options: str) -> Done:
    """Run `link` in the project with nobody there to answer."""
    return run_here(project, "link", *options)


def variables(project: Path, target: str = "dev") -> dict[str, str]:
    """Return the variables of a target's file."""
    bundle = yaml.safe_load((project / f"workspace.{target}.yml").read_text())
    found: dict[str, str] = bundle["targets"][target]["variables"]
    return found


def contents(project: Path) -> dict[Path, bytes]:
    """Return every file of the project."""
    paths = [path for path in project.rglob("*") if path.is_file() and ".git" not in path.parts]
    return {path: path.read_bytes() for path in paths}


def test_it_finds_the_right_database_and_endpoint_of_a_branch(
    workspace: Workspace, project: Path
) -> None:
    done = link(project, *PLACE)
    assert done.returncode == 0, done.stderr
    found = variables(project)
    assert (found["lakebase_branch"], found["lakebase_database"]) == (BRANCH_PATH, DATABASE_PATH)
    assert f"LAKEBASE_AUTOSCALING_ENDPOINT={ENDPOINT_PATH}\n" in (project / ".env").read_text()


@pytest.mark.parametrize("project", ["provisioned"], indirect=True)
def test_it_finds_an_instance(workspace: Workspace, project: Path) -> None:
    done = link(project, "--instance", INSTANCE)
    assert done.returncode == 0, done.stderr
    assert variables(project)["lakebase_instance"] == INSTANCE
    assert f"LAKEBASE_INSTANCE_NAME={INSTANCE}\n" in (project / ".env").read_text()


def test_the_bundle_has_a_value_for_every_variable(workspace: Workspace, project: Path) -> None:
    link(project, *PLACE)
    bundle = yaml.safe_load((project / "databricks.yml").read_text())
    given = set(variables(project)) | set(bundle["targets"]["dev"]["variables"])
    assert set(bundle["variables"]) <= given
    linked = yaml.safe_load((project / "workspace.dev.yml").read_text())
    assert linked["targets"]["dev"]["workspace"]["host"] == workspace.url


def test_a_second_run_changes_nothing(workspace: Workspace, project: Path) -> None:
    link(project, *PLACE)
    before = contents(project)
    done = link(project)
    assert "nothing changed" in done.stdout
    assert contents(project) == before


def test_other_lines_and_comments_are_kept(workspace: Workspace, project: Path) -> None:
    (project / ".env").write_text("# mine\nLOG_LEVEL=DEBUG\nMLFLOW_EXPERIMENT_ID=1\n")
    mine = "# ours\ntargets:\n  dev:\n    variables:\n      team: 'blue'  # why not\n"
    (project / "workspace.dev.yml").write_text(mine)
    link(project, *PLACE)
    env, bundle = (project / ".env").read_text(), (project / "workspace.dev.yml").read_text()
    assert env.startswith("# mine\nLOG_LEVEL=DEBUG\nMLFLOW_EXPERIMENT_ID=")
    assert "MLFLOW_EXPERIMENT_ID=1\n" not in env
    assert bundle.startswith("# ours\n") and "team: 'blue'  # why not\n" in bundle


def test_the_env_file_is_readable_by_its_owner_only(workspace: Workspace, project: Path) -> None:
    link(project, *PLACE)
    assert (project / ".env").stat().st_mode & 0o777 == 0o600
    assert workspace.token not in (project / ".env").read_text()


def test_a_developer_has_a_schema_of_their_own(workspace: Workspace, project: Path) -> None:
    link(project, *PLACE)
    assert "LAKEBASE_AGENT_MEMORY_SCHEMA=my_agent_dev_ada\n" in (project / ".env").read_text()


def test_a_long_user_name_still_makes_a_valid_schema() -> None:
    prefix = "a" * 40 + "_dev_"
    names = {personal_schema(prefix, f"somebody.with.a.long.name.{n}@x.org") for n in "ab"}
    assert len(names) == 2
    assert all(len(name) <= 63 for name in names)


def test_another_target_has_a_file_of_its_own(workspace: Workspace, project: Path) -> None:
    done = link(project, *PLACE, "--target", "prod")
    assert done.returncode == 0, done.stderr
    assert variables(project, "prod")["lakebase_database"] == DATABASE_PATH
    assert not (project / ".env").exists() and not (project / "workspace.dev.yml").exists()


def test_an_experiment_is_created_once(workspace: Workspace, project: Path) -> None:
    link(project, *PLACE)
    (project / "workspace.dev.yml").unlink()
    link(project, *PLACE)
    names = [experiment.name for experiment in workspace.content.experiments]
    assert names.count(f"/Users/{ME}/my-agent-dev") == 1


def test_a_project_is_created_on_request(workspace: Workspace, project: Path) -> None:
    done = link(project, "--create-project", "memory")
    assert done.returncode == 0, done.stderr
    assert "creating the project memory" in done.stdout
    assert variables(project)["lakebase_branch"].startswith("projects/memory/branches/")
    assert "nothing changed" in link(project, "--create-project", "memory").stdout


@pytest.mark.slow
@pytest.mark.parametrize("project", ["provisioned"], indirect=True)
def test_a_person_can_have_an_instance_created(workspace: Workspace, project: Path) -> None:
    person = wants_a_new_instance(project)
    person.expect("wrote workspace.dev.yml")
    person.expect(pexpect.EOF)
    assert variables(project)["lakebase_instance"] == "my-agent"
    assert "my-agent" in workspace.content.instances


@pytest.mark.slow
@pytest.mark.parametrize("project", ["provisioned"], indirect=True)
def test_ctrl_c_while_an_instance_is_created_changes_nothing(
    workspace: Workspace, project: Path
) -> None:
    workspace.content.polls = 10**6
    before = contents(project)
    person = wants_a_new_instance(project)
    person.expect("my-agent [1-9] s")  # the spinner
    person.send("\x03")
    assert_left(person, 130, project, before)


def test_an_existing_app_keeps_its_name(workspace: Workspace, project: Path) -> None:
    done = link(project, *PLACE, "--app", APP, "--target", "prod")
    assert done.returncode == 0, done.stderr
    assert variables(project, "prod")["app_name"] == APP
    assert f"databricks bundle deployment bind my_agent {APP} --target prod" in done.stdout


def test_an_existing_app_provides_its_resources(workspace: Workspace, project: Path) -> None:
    postgres = {"branch": BRANCH_PATH, "database": DATABASE_PATH, "permission": "CAN_CONNECT"}
    experiment = {"experiment_id": "1001", "permission": "CAN_EDIT"}
    resources = [{"name": "a", "postgres": postgres}, {"name": "b", "experiment": experiment}]
    workspace.content.apps[APP].resources.extend(resources)
    done = link(project, "--app", APP)
    assert done.returncode == 0, done.stderr
    found = variables(project)
    assert (found["lakebase_database"], found["experiment_id"]) == (DATABASE_PATH, "1001")


def test_a_person_picks_the_app_once(workspace: Workspace, project: Path) -> None:
    person = terminal(project)
    person.expect("Which app")
    person.expect(APP)
    person.send("\x1b[B\r")
    picks_the_second_project(person)
    person.expect("deployment bind")
    person.expect(pexpect.EOF)
    assert variables(project)["app_name"] == APP
    again = terminal(project)
    again.expect(["Which app", "nothing changed"])
    assert again.after == "nothing changed"


def test_in_an_adopted_project_it_sets_what_the_bundle_declares(
    workspace: Workspace, template: Path, tmp_path: Path
) -> None:
    folder = write_agent(tmp_path / "my agent", app_template("openai"))
    with (folder / ".env").open("a") as lines:
        lines.write("MLFLOW_EXPERIMENT_ID=theirs\n")
    adopted(folder, template, "--lakebase", "autoscaling")
    done = link(folder, *PLACE)
    assert done.returncode == 0, done.stderr
    written = yaml.safe_load((folder / "workspace.dev.yml").read_text())["targets"]["dev"]
    place = {"lakebase_branch": BRANCH_PATH, "lakebase_database": DATABASE_PATH}
    assert written["variables"] == place
    assert "MLFLOW_EXPERIMENT_ID=theirs" in (folder / ".env").read_text()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 2, "--project: billing, agents, search"),
        (("--project", "agentz"), 3, "did you mean agents"),
        (("--project", "agents", "--branch", "prodution"), 3, "did you mean production"),
        ((*PLACE, "--experiment", "/nowhere"), 3, "'/nowhere'"),
        ((*PLACE, "--app", "no-such-app"), 3, "no-such-app"),
        (("--instance", "x"), 2, "--instance is not for"),
        (("--target", "../x"), 2, "--target"),
    ],
)
def test_a_wrong_option_is_one_line_and_changes_nothing(
    workspace: Workspace, project: Path, options: tuple[str, ...], code: int, said: str
) -> None:
    before = contents(project)
    done = link(project, *options)
    assert (done.returncode, len(done.stderr.splitlines())) == (code, 1), done.stderr
    assert said in done.stderr
    assert contents(project) == before


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("unauthenticated", "databricks auth login"),
        ("forbidden", "no permission"),
        ("disabled", "not enabled"),
        ("missing", "refused"),
    ],
)
def test_a_refusing_workspace_is_one_line_and_changes_nothing(
    workspace: Workspace, project: Path, fault: str, said: str
) -> None:
    before = contents(project)
    getattr(workspace.faults, fault)("/api/2.0/postgres")
    done = link(project, *PLACE)
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1), done.stderr
    assert said in done.stderr
    assert contents(project) == before


@pytest.mark.slow
def test_an_unreachable_workspace_is_one_line_and_changes_nothing(
    workspace: Workspace, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("DATABRICKS_HOST", f"http://127.0.0.1:{listener.getsockname()[1]}")
    before = contents(project)
    done = link(project, *PLACE)
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1), done.stderr
    assert contents(project) == before


@pytest.mark.parametrize("project", ["local"], indirect=True)
def test_a_project_without_lakebase_says_how_to_get_one(project: Path) -> None:
    done = link(project)
    assert done.returncode == 2
    assert "copier update --trust -d lakebase=autoscaling" in done.stderr


@pytest.fixture
def versioned(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project without Lakebase that Copier can update, committed."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "ada@example.com")
    source = tmp_path / "template"
    shutil.copytree(template, source)
    commit(source)
    subprocess.run(["git", "tag", "v0.1.0"], cwd=source, check=True)
    folder = tmp_path / "p"
    render(source, Combination("langgraph", BOTH, "local"), folder)
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    """Make the folder a git repository with everything in it."""
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "all"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


@pytest.mark.slow
def test_a_person_can_give_a_project_its_lakebase(workspace: Workspace, versioned: Path) -> None:
    person = wants_a_new_app(picks_autoscaling(versioned))
    picks_the_second_project(person)
    person.expect("wrote workspace.dev.yml")
    person.expect(pexpect.EOF)
    assert variables(versioned)["lakebase_branch"] == BRANCH_PATH
    assert "lakebase_branch" in (versioned / "databricks.yml").read_text()


@pytest.mark.slow
def test_ctrl_c_after_choosing_the_kind_of_lakebase_changes_nothing(
    workspace: Workspace, versioned: Path
) -> None:
    before = contents(versioned)
    person = wants_a_new_app(picks_autoscaling(versioned))
    person.expect("Which project")
    person.send("\x03")
    assert_left(person, 130, versioned, before)


@pytest.mark.slow
def test_a_refusing_workspace_leaves_a_project_without_lakebase_unchanged(
    workspace: Workspace, versioned: Path
) -> None:
    workspace.faults.unauthenticated()
    before = contents(versioned)
    person = picks_autoscaling(versioned)
    person.expect("databricks auth login")
    assert_left(person, 3, versioned, before)


@pytest.mark.slow
def test_edits_that_would_conflict_with_a_lakebase_are_kept(
    workspace: Workspace, versioned: Path
) -> None:
    bundle = versioned / "databricks.yml"
    bundle.write_text(bundle.read_text().replace("CAN_QUERY", "CAN_MANAGE"))
    commit(versioned)
    before = contents(versioned)
    person = picks_autoscaling(versioned)
    person.expect("your edits in databricks.yml conflict with it")
    assert_left(person, 2, versioned, before)


@pytest.fixture
def profiles(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the way to the workspace be one of two profiles, and the environment name none."""
    token = os.environ["DATABRICKS_TOKEN"]
    for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
        monkeypatch.delenv(name)
    file = tmp_path / "profiles"
    away = "[DEFAULT]\nhost = https://away.example.com\ntoken = x\n"
    file.write_text(f"{away}[work]\nhost = {workspace.url}/\ntoken = {token}\n")
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(file))


@pytest.mark.usefixtures("profiles")
def test_the_profile_of_the_last_run_is_used_again(project: Path) -> None:
    assert link(project, "--profile", "work", *PLACE).returncode == 0
    assert "DATABRICKS_CONFIG_PROFILE=work\n" in (project / ".env").read_text()
    before = contents(project)
    assert "nothing changed" in link(project, "--yes").stdout
    assert contents(project) == before


@pytest.mark.usefixtures("profiles")
def test_another_target_uses_the_profile_of_its_workspace(project: Path) -> None:
    prod = ("--target", "prod")
    assert link(project, "--profile", "work", *prod, *PLACE).returncode == 0
    assert "nothing changed" in link(project, *prod).stdout


@pytest.mark.usefixtures("profiles")
def test_a_person_picks_the_profile(project: Path) -> None:
    person = terminal(project)
    person.expect("Which profile")
    person.send("\x1b[B\r")
    wants_a_new_app(person).expect("Which project")
    person.send("\x03")
    person.expect(pexpect.EOF)
    assert person.wait() == 130


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("dirty", "commit or stash your changes"),
        pytest.param("no version", "no version", marks=pytest.mark.slow),
    ],
)
def test_a_project_that_copier_cannot_update_is_unchanged(
    workspace: Workspace, versioned: Path, broken: str, said: str
) -> None:
    if broken == "dirty":
        (versioned / "agent_server" / "app.py").write_text("# mine\n")
    else:
        answers = versioned / ".copier-answers.yml"
        kept = [line for line in answers.read_text().splitlines() if "_commit" not in line]
        answers.write_text("\n".join(kept))
        commit(versioned)
    before = contents(versioned)
    person = picks_autoscaling(versioned)
    person.expect(said)
    assert_left(person, 2, versioned, before)


def test_variables_of_another_lakebase_are_removed_from_the_env_file(
    workspace: Workspace, project: Path
) -> None:
    old = "LAKEBASE_AUTOSCALING_PROJECT=billing\nLAKEBASE_INSTANCE_NAME=staging\n"
    (project / ".env").write_text(old)
    link(project, *PLACE)
    env = (project / ".env").read_text()
    assert f"LAKEBASE_AUTOSCALING_ENDPOINT={ENDPOINT_PATH}\n" in env
    assert "LAKEBASE_AUTOSCALING_PROJECT" not in env and "LAKEBASE_INSTANCE_NAME" not in env


def test_only_the_variables_of_another_flavour_are_removed_from_the_bundle(
    workspace: Workspace, project: Path
) -> None:
    old = "targets:\n  dev:\n    variables:\n      lakebase_instance: staging\n      team: blue\n"
    (project / "workspace.dev.yml").write_text(old)
    link(project, *PLACE)
    assert "lakebase_instance" not in variables(project)
    assert variables(project)["team"] == "blue"


def test_a_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    done = link(tmp_path)
    assert done.returncode == 2
    assert "no .copier-answers.yml" in done.stderr


def picks_autoscaling(project: Path) -> "pexpect.spawn[str]":
    """Run `link` on a project without Lakebase, and answer its first question."""
    person = terminal(project)
    person.expect("Which kind of Lakebase")
    person.send("\r")
    return person


def picks_the_second_project(person: "pexpect.spawn[str]") -> None:
    """Answer the question for a project, once all of them are shown."""
    person.expect("Which project")
    person.expect("search")
    person.send("\x1b[B\r")  # arrow down, Enter


def wants_a_new_instance(project: Path) -> "pexpect.spawn[str]":
    """Run `link` on a provisioned project, and ask for an instance that is not there yet."""
    person = wants_a_new_app(terminal(project))
    person.expect("Which instance")
    person.expect("create a new one")
    person.send("\x1b[A\r")  # arrow up, Enter: the last one
    person.expect("Its id")
    person.send("\r")
    person.expect("creating the instance my-agent")
    return person


def assert_left(
    person: "pexpect.spawn[str]", code: int, project: Path, before: dict[Path, bytes]
) -> None:
    """Fail unless the command ends with `code`, and every file is as it was."""
    person.expect(pexpect.EOF)
    assert person.wait() == code
    assert contents(project) == before


def terminal(project: Path, *options: str) -> "pexpect.spawn[str]":
    """Run `link` in a terminal, as a person does."""
    return at_terminal(project, "link", *options, **os.environ)


def wants_a_new_app(person: "pexpect.spawn[str]") -> "pexpect.spawn[str]":
    """Answer the question for an app, which comes first."""
    person.expect("Which app")
    person.send("\r")
    return person


def test_a_person_lets_the_bundle_create_it_and_says_who_deploys_and_uses_it(
    workspace: Workspace, project: Path
) -> None:
    workspace.content.lakebase.clear()
    person = wants_a_new_app(terminal(project, "--target", "prod"))
    for question, answer in (("Who deploys", ""), ("Which group", "analysts"), ("Which proj", "")):
        person.expect(question)
        person.send(f"{answer}\r")
    person.expect("the bundle creates the project my-agent")
    person.expect(pexpect.EOF)
    written = (project / "workspace.prod.yml").read_text()
    assert "group_name: analysts" in written and f"/Workspace/Users/{ME}/" in written
    assert "postgres_projects" in written


def test_a_person_picks_from_what_exists(workspace: Workspace, project: Path) -> None:
    person = wants_a_new_app(terminal(project))
    picks_the_second_project(person)
    person.expect("wrote workspace.dev.yml")
    person.expect(pexpect.EOF)
    assert person.wait() == 0
    assert variables(project)["lakebase_branch"] == BRANCH_PATH


def test_ctrl_c_at_a_question_changes_nothing(workspace: Workspace, project: Path) -> None:
    before = contents(project)
    person = wants_a_new_app(terminal(project))
    person.expect("Which project")
    person.send("\x03")
    assert_left(person, 130, project, before)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_an_env_file_in_another_encoding_is_read_and_kept(
    workspace: Workspace, project: Path, encoding: str
) -> None:
    (project / ".env").write_text("LOG_LEVEL=DEBUG\nNAME='Jörg # 1' # mine\n", encoding)
    assert read_env(project) == {"LOG_LEVEL": "DEBUG", "NAME": "Jörg # 1"}
    assert link(project, *PLACE).returncode == 0
    env = (project / ".env").read_text("utf-8")
    assert env.startswith("LOG_LEVEL=DEBUG\nNAME='Jörg # 1' # mine\n")
    assert f"LAKEBASE_AUTOSCALING_ENDPOINT={ENDPOINT_PATH}\n" in env


@pytest.mark.parametrize("content", [b"A=\xff\xe4\n", "A=b\n".encode("utf-16-le")])
def test_an_env_file_that_is_no_text_is_named(
    workspace: Workspace, project: Path, content: bytes
) -> None:
    (project / ".env").write_bytes(content)
    done = link(project, *PLACE)
    assert done.returncode == 2 and ".env" in done.stderr and "UTF-8" in done.stderr
    assert (project / ".env").read_bytes() == content


def test_a_workspace_on_this_machine_is_not_asked_through_a_proxy(
    workspace: Workspace, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "other.example")
    with open_http_proxy() as proxy:
        for name, value in proxy.variables.items():
            monkeypatch.setenv(name, value)
        done = link(project, *PLACE)
        assert (done.returncode, proxy.asked) == (0, []), done.stderr
