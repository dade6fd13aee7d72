"""Agents that forget, adopted and connected as they were told: do they remember?"""

import ast
import re
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from tests.standins.model import open_standin_model
from tests.standins.workspace.embedded import EmbeddedPostgres
from tests.support.adopted_earlier import add_this_tree, adopt_at_release, check_out_release
from tests.support.agents_with_memory import remembering
from tests.support.existing_agents import adopted, forgetful, write_agent
from tests.support.project import Project, free_port, install
from tests.support.releases import commit
from tests.support.rendering import FRAMEWORKS

pytestmark = pytest.mark.generated

THREADS = """
from types import SimpleNamespace
from agent.lakebase_memory.caller import ApiError, thread_id_of
for inputs in ({"thread_id": "a"}, {"session_id": "b"}, {}, {"thread_id": "a", "session_id": "b"},
               {"thread_id": ["a"]}, {"thread_id": "a" * 257}, {"thread_id": "\\0"}):
    try:
        print(repr(thread_id_of(SimpleNamespace(custom_inputs=inputs))))
    except ApiError as error:
        print(error.status_code)
"""


class Adopted:
    """An adopted agent, its packages, and where its memory and its model are."""

    def __init__(self, project: Project, variables: dict[str, str]) -> None:
        self.project, self._variables = project, variables

    @contextmanager
    def process(self) -> Iterator["Process"]:
        """Yield the agent in a process of its own."""
        port, log = free_port(), self.project.folder / "server.log"
        command = ["agent.main:app", "--port", str(port)]
        with log.open("w") as out:
            server = self.project.start(
                "uvicorn", *command, variables=self._variables, stdout=out, stderr=out
            )
        try:
            yield Process(f"http://127.0.0.1:{port}", log)
        finally:
            server.terminate()
            server.wait(20)


class Process:
    """One process of the agent."""

    def __init__(self, url: str, log: Path) -> None:
        self._url, self._log = url, log

    def ask(self, question: str, thread: str, user: str = "ada") -> str:
        """Return the answer, as soon as the process is up."""
        deadline = time.monotonic() + 90
        while True:
            try:
                body = {"question": question, "thread": thread}
                headers = {"X-Forwarded-User": user}
                response = httpx.post(f"{self._url}/ask", json=body, headers=headers, timeout=60)
                break
            except httpx.ConnectError:
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.2)
        assert response.status_code == 200, self._log.read_text()
        return str(response.json()["answer"])


def connect(source: str, said: str) -> str:
    """Return the agent's file with the lines that `adopt` printed, as a person writes them in."""
    told = said.partition("Now connect your agent.")[2].partition("Then:")[0]
    found = re.findall(r"(?:^    .*\n)+", told, re.MULTILINE)
    imports, turn, *calls = [textwrap.dedent(block).rstrip() for block in found]
    numbers = [int(number) for number in re.findall(r"main\.py:(\d+): ", told)]
    lines = source.splitlines()
    for number, call in zip(numbers, calls, strict=False):
        lines[number - 1] = _replaced(lines[number - 1], call)
    ended = [f"    {line}" for line in calls[len(numbers) :]]
    start = next(place for place, line in enumerate(lines) if line.startswith("    agent ="))
    inside = [*lines[start : max(numbers)], *ended, *lines[max(numbers) :]]
    body = textwrap.indent("\n".join(inside), "    ")
    return "\n".join([imports, *lines[:start], f"    {turn.splitlines()[0]}", body, ""])


def _replaced(line: str, call: str) -> str:
    tree = ast.parse(f"async def ask():\n{line}")
    old = next(node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return line[: old.col_offset] + call + line[old.end_col_offset :]


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Yield what leads to a Postgres and a model."""
    postgres = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    postgres.start()
    with open_standin_model() as model:
        yield {"DATABASE_URL": postgres.url(), "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "-"}
    postgres.stop()


@pytest.fixture(scope="module", params=["langgraph", "openai"])
def agent(
    request: pytest.FixtureRequest,
    template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    variables: dict[str, str],
) -> Adopted:
    """Return an agent that was adopted, connected and installed."""
    home = tmp_path_factory.mktemp("adopted")
    folder = write_agent(home / "my agent", forgetful(request.param))
    adopted(folder, template, "--wire", "--lakebase", "autoscaling", "--schema", request.param)
    return Adopted(install(folder, home / "environment"), variables)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_one_of_an_earlier_release_still_remembers_when_adopted_again(
    tmp_path: Path, variables: dict[str, str], framework: str
) -> None:
    earlier = check_out_release(tmp_path / "earlier", "v0.2.6")
    folder = write_agent(tmp_path / "my agent", forgetful(framework))
    flags = ("--lakebase", "autoscaling", "--schema", f"again_{framework}")
    said = adopt_at_release(folder, earlier, *flags)
    main = folder / "agent" / "main.py"
    main.write_text(connect(main.read_text(), said))
    commit(folder)
    adopted(folder, add_this_tree(earlier, tmp_path / "now"))
    agent = Adopted(install(folder, tmp_path / "environment"), variables)
    with agent.process() as process:
        process.ask("My name is Ada", "one")
        process.ask("Remember that I like teal", "one")
        assert "Ada" in process.ask("What is my name?", "one")
        assert "teal" in process.ask("What do you know about me?", "two")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_one_that_had_a_memory_of_its_own_remembers_with_the_new_one(
    template: Path, tmp_path: Path, variables: dict[str, str], framework: str
) -> None:
    folder = write_agent(tmp_path / "my agent", remembering(framework))
    schema = ("--lakebase", "autoscaling", "--schema", f"own_{framework}")
    adopted(folder, template, "--wire", *schema)
    agent = Adopted(install(folder, tmp_path / "environment"), variables)
    with agent.process() as process:
        process.ask("My name is Ada", "one")
        process.ask("Remember that I like teal", "one")
    with agent.process() as process:
        assert "Ada" in process.ask("What is my name?", "one")
        assert "teal" in process.ask("What do you know about me?", "two")
        assert "Ada" not in process.ask("What is my name?", "one", user="eve")


def test_it_remembers_a_conversation_across_processes(agent: Adopted) -> None:
    with agent.process() as process:
        process.ask("My name is Ada", "one")
        assert "Ada" in process.ask("What is my name?", "one")
    with agent.process() as process:
        assert "Ada" in process.ask("What is my name?", "one")


def test_another_thread_and_another_user_do_not_see_it(agent: Adopted) -> None:
    with agent.process() as process:
        process.ask("My name is Ada", "two")
        assert "Ada" not in process.ask("What is my name?", "three")
        assert "Ada" not in process.ask("What is my name?", "two", user="eve")


def test_a_fact_is_known_in_every_thread_of_its_user_alone(agent: Adopted) -> None:
    with agent.process() as process:
        process.ask("Remember that I like teal", "four")
        assert "teal" in process.ask("What do you know about me?", "five")
        assert "teal" not in process.ask("What do you know about me?", "four", user="eve")


def test_the_grant_script_runs_as_its_errors_suggest(agent: Adopted) -> None:
    noted = yaml.safe_load((agent.project.folder / ".lakebase-agent.yml").read_text())
    command = noted["place"]["run_script"].split()
    assert command[:2] == ["uv", "run"]
    assert "--memory-type" in agent.project.uv(*command[1:], "--help")


def test_a_thread_is_named_as_in_a_generated_project(agent: Adopted) -> None:
    said = agent.project.uv("run", "python", "-c", THREADS).split()
    assert said == ["'a'", "'b'", "''", "400", "400", "400", "400"]
