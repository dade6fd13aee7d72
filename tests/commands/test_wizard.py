"""`lakebase-agent new` at a terminal: lists to pick from, the preview, and going on without."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pexpect
import pytest
import yaml

from lakebase_agent.new.new import find_uv
from tests.standins.workspace import BRANCH, INSTANCE, ME, PROJECT, Workspace, open_workspace
from tests.support.commands import at_terminal
from tests.support.project import free_port
from tests.support.rendering import REPOSITORY

DOWN = "\x1b[B"


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    with open_workspace() as workspace:
        yield workspace


class Person:
    """Somebody at a terminal who generates a project called `my agent`."""

    def __init__(self, home: Path, template: Path, *options: str, **variables: str) -> None:
        arguments = ["new", "my agent", "--source", str(template), *options]
        if "UV" not in variables:
            arguments.append("--no-install")
        self.project = home / "my agent"
        given = {"HOME": str(home), "LAKEBASE_AGENT_NO_HOOKS": "1", **variables}
        self.terminal = at_terminal(home, *arguments, **given)

    def answer(self, question: str, keys: str = "\r") -> "Person":
        """Wait for a question, and press keys."""
        self.terminal.expect_exact(question)
        self.terminal.send(keys)
        return self

    def slow(self) -> "Person":
        """Let it take its time: packages are installed."""
        self.terminal.timeout = 300
        return self

    def answer_the_rest(self) -> "Person":
        """Take what Copier offers."""
        for question in ("App called?", "runs the agent?", "should it remember?"):
            self.answer(question)
        return self

    def ends(self) -> int:
        """Return the exit code."""
        self.terminal.expect(pexpect.EOF)
        return int(self.terminal.wait())

    @property
    def answers(self) -> dict[str, object]:
        """What the project was generated with."""
        found: dict[str, object] = yaml.safe_load(
            (self.project / ".copier-answers.yml").read_text()
        )
        return found


def test_a_person_picks_what_the_workspace_has(
    small_template: Path, tmp_path: Path, workspace: Workspace
) -> None:
    person = Person(tmp_path, small_template, **workspace.variables()).answer_the_rest()
    person.terminal.expect_exact(f"as {ME}")
    person.answer("Which Lakebase", DOWN * 2 + "\r")
    person.answer("Which branch?", DOWN + "\r").answer("Which serving endpoint answers?")
    person.answer("into vectors?").answer("Generate it?", "y")
    assert person.ends() == 0
    assert person.answers["lakebase"] == "autoscaling"
    assert person.answers["lakebase_project"] == PROJECT
    assert person.answers["lakebase_branch"] == BRANCH


@pytest.mark.slow
def test_a_person_can_pick_an_instance(
    small_template: Path, tmp_path: Path, workspace: Workspace
) -> None:
    person = Person(tmp_path, small_template, **workspace.variables()).answer_the_rest()
    person.answer("Which Lakebase", DOWN * 5 + "\r").answer("Which serving endpoint")
    person.answer("into vectors?").answer("Generate it?", "y")
    assert person.ends() == 0
    assert person.answers["lakebase_instance"] == INSTANCE


@pytest.mark.slow
def test_an_answer_that_was_given_is_not_asked_for(
    small_template: Path, tmp_path: Path, workspace: Workspace
) -> None:
    given = ("--data", "lakebase=local", "--data", "model_endpoint=mine")
    person = Person(tmp_path, small_template, *given, **workspace.variables())
    person.answer_the_rest().answer("into vectors?").answer("Generate it?", "y")
    assert person.ends() == 0
    assert person.answers["model_endpoint"] == "mine"


def without_a_workspace(person: Person) -> None:
    person.answer_the_rest().answer("Which Lakebase holds").answer("endpoint answers?")
    person.answer("into vectors?")


def test_without_a_workspace_the_questions_have_no_lists(
    small_template: Path, tmp_path: Path
) -> None:
    person = Person(tmp_path, small_template, DATABRICKS_CONFIG_FILE="none")
    without_a_workspace(person)
    person.terminal.expect_exact("my-agent, with LangGraph")
    person.answer("Generate it?", "y")
    assert "agent.py" not in str(person.terminal.before)
    assert person.ends() == 0
    assert person.answers["app_name"] == "my-agent"


def test_the_wizard_goes_on_without_a_workspace_that_refuses(
    small_template: Path, tmp_path: Path, workspace: Workspace
) -> None:
    variables = {**workspace.variables(), "DATABRICKS_TOKEN": "wrong"}
    person = Person(tmp_path, small_template, **variables).answer_the_rest()
    person.terminal.expect_exact("Continuing without a workspace")
    person.answer("Which Lakebase holds").answer("endpoint answers?").answer("into vectors?")
    person.answer("Generate it?", "y")
    assert person.ends() == 0


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param("n", id="no"),
        pytest.param("\x03", id="Ctrl-C", marks=pytest.mark.slow),
        pytest.param("\x04", id="Ctrl-D", marks=pytest.mark.slow),
    ],
)
def test_leaving_at_the_preview_writes_nothing(
    small_template: Path, tmp_path: Path, keys: str
) -> None:
    person = Person(tmp_path, small_template, DATABRICKS_CONFIG_FILE="none")
    without_a_workspace(person)
    person.answer("Generate it?", keys)
    assert person.ends() == 130
    assert not person.project.exists()


def test_a_name_that_does_not_work_is_told_the_rule_within_the_line(
    small_template: Path, tmp_path: Path
) -> None:
    person = Person(tmp_path, small_template, DATABRICKS_CONFIG_FILE="none")
    person.answer("App called?", "Not This\r")
    person.terminal.expect_exact("use 2 to 30 of a-z, 0-9 and -, a letter first")
    person.answer("", "\x15good\r").answer("runs the agent?").answer("remember?")
    person.answer("Which Lakebase holds").answer("endpoint answers?").answer("into vectors?")
    person.answer("Generate it?", "y")
    assert (person.ends(), person.answers["app_name"]) == (0, "good")


@pytest.mark.slow
def test_only_a_lakebase_in_a_workspace_is_asked_its_name(
    small_template: Path, tmp_path: Path
) -> None:
    person = Person(tmp_path, small_template, DATABRICKS_CONFIG_FILE="none").answer_the_rest()
    person.answer("Which Lakebase holds", DOWN + "\r").answer("Which Lakebase project?", "mine\r")
    person.answer("branch of it?").answer("endpoint answers?").answer("into vectors?")
    person.answer("profile of the Databricks CLI").answer("Generate it?", "y")
    assert (person.ends(), person.answers["lakebase_project"]) == (0, "mine")


def test_every_rule_is_told_before_the_value() -> None:
    questions = yaml.safe_load((REPOSITORY / "copier.yml").read_text())
    asked = [
        q for q in questions.values() if isinstance(q, dict) and "validator" in q and "ask" not in q
    ]
    assert len(asked) >= 7
    for question in asked:
        told = question["validator"].partition("%}")[2].strip()
        assert told.startswith("use ") and len(told.partition("{{")[0]) <= 72, told


@pytest.mark.generated
@pytest.mark.long
def test_a_person_is_offered_to_start_the_project_and_told_its_address(
    template: Path, tmp_path: Path
) -> None:
    port = str(free_port())
    variables = {"DATABRICKS_CONFIG_FILE": "none", "UV": find_uv(), "PORT": port}
    person = Person(tmp_path, template, **variables)
    without_a_workspace(person.slow())
    person.answer("Generate it?", "y").answer("Start it now?")
    person.terminal.expect_exact(f"It is ready: http://localhost:{port}")
    with urlopen(f"http://localhost:{port}/ready") as answer:
        assert answer.status == 200
    person.terminal.sendintr()
    assert person.ends() == 0


def test_who_does_not_want_to_start_it_has_the_commands(
    small_template: Path, tmp_path: Path
) -> None:
    person = Person(
        tmp_path, small_template, DATABRICKS_CONFIG_FILE="none", UV=shutil.which("true") or ""
    )
    without_a_workspace(person)
    person.answer("Generate it?", "y").answer("uv run start-app", "").answer("Start it now?", "n")
    assert person.ends() == 0
    assert "It is ready" not in str(person.terminal.before)


def test_nobody_is_offered_a_start_who_wants_no_questions(
    small_template: Path, tmp_path: Path
) -> None:
    person = Person(tmp_path, small_template, "--defaults", UV=shutil.which("true") or "")
    assert person.ends() == 0
    assert "uv run start-app" in str(person.terminal.before)
    assert "Start it" not in str(person.terminal.before)
