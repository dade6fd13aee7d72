"""A generated project, as its owner finds it: formatted, linted, typed, and tested by itself."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Renders
from tests.support.licences import is_known, licences_in
from tests.support.project import Project, Server, install
from tests.support.rendering import MEMORIES, PAIRWISE, Combination, render

pytestmark = pytest.mark.generated
# What most people choose, and everything. The tests of other projects pass after an update, too:
# see updates/test_update_releases.py, where every two answers meet.
COMMON = [
    Combination("langgraph", ("short_term", "long_term", "chat"), "local"),
    Combination("openai", ("short_term", "long_term", "chat"), "local"),
    Combination("openai", MEMORIES, "autoscaling"),
]
TYPED = [COMMON[0], COMMON[2]]
# Those in which every two answers meet.
LONG = [pytest.param(c, marks=pytest.mark.long) for c in [COMMON[1], *PAIRWISE]]


@pytest.fixture
def project(request: pytest.FixtureRequest, renders: Renders, environments: Path) -> Project:
    """Return an installed project."""
    return install(renders[request.param], environments / request.param.framework)


# Of projects with fewer memories, each memory's own tests are among these.
@pytest.mark.parametrize(
    "project",
    [COMMON[0], pytest.param(COMMON[1], marks=pytest.mark.long), COMMON[2]],
    indirect=True,
    ids=str,
)
def test_its_own_tests_pass(project: Project) -> None:
    # What mostly waits is the same in all: once is enough.
    project.run_tests(briefly="background" not in str(project.folder))


# Of every combination, the tests of what is rendered lint and format the code.
@pytest.mark.parametrize("project", COMMON[1:], indirect=True, ids=str)
def test_it_is_linted_and_formatted(project: Project) -> None:
    project.uv("run", "ruff", "check")
    project.uv("run", "ruff", "format", "--check")


@pytest.mark.parametrize("project", [*TYPED, *LONG], indirect=True, ids=str)
def test_it_is_typed(project: Project) -> None:
    project.uv("run", "mypy", "--cache-dir", str(project.environment / "mypy_cache"))


@pytest.mark.parametrize("project", COMMON, indirect=True, ids=str)
def test_every_package_has_a_licence_that_is_known(project: Project) -> None:
    found = licences_in(project.environment)
    del found["my-agent"]
    assert {name: licence for name, licence in found.items() if not is_known(licence)} == {}


@pytest.mark.parametrize("framework", ["langgraph", "openai"])
def test_its_evaluation_passes_offline(
    renders: Renders, environments: Path, framework: str
) -> None:
    combination = Combination(framework, ("short_term", "long_term"), "local")
    project = install(renders[combination], environments / framework)
    assert "3 of 3 passed" in project.uv("run", "python", "-m", "evals.run")


@pytest.mark.parametrize("wrong", ['questions = "Hello"', "expectd = 1", 'expected = ""'])
def test_an_invalid_case_is_refused(
    renders: Renders, environments: Path, tmp_path: Path, wrong: str
) -> None:
    folder = shutil.copytree(renders[Combination("openai", (), "local")], tmp_path / "p")
    (folder / "evals" / "cases.toml").write_text(f'[[case]]\nname = "n"\n{wrong}\n')
    project = install(folder, environments / "openai")
    judging = project.start("python", "-m", "evals.run", stderr=subprocess.PIPE)
    assert wrong.split()[0] in judging.communicate()[1] and judging.returncode == 2


def test_a_middleware_that_ends_the_run_gives_the_answer(
    renders: Renders, environments: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(renders[Combination("langgraph", (), "local")], tmp_path / "p")
    agent = folder / "agent_server" / "agent.py"
    limit = "ModelCallLimitMiddleware(run_limit=1, exit_behavior='end')"
    code = agent.read_text().replace("[TurnInput()]", f"[TurnInput(), middleware.{limit}]")
    agent.write_text(code.replace("import create_agent", "import create_agent, middleware"))
    with Server(install(folder, environments / "langgraph")) as server:
        assert "limit" in server.until_ready().ask("What time is it?")


@pytest.mark.parametrize("project", COMMON[:2], indirect=True, ids=str)
def test_its_lock_is_the_same_wherever_it_is_made(project: Project, tmp_path: Path) -> None:
    project.uv("lock", "--check")
    without = shutil.ignore_patterns("uv.lock", ".*_cache", ".local")
    locks = []
    for name in ("here", "there"):
        folder = shutil.copytree(project.folder, tmp_path / name, ignore=without)
        # From what is known since the installation: a package may be released at any moment.
        Project(folder, project.environment).uv("lock", "--offline")
        locks.append((folder / "uv.lock").read_bytes())
    assert locks[0] == locks[1]


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["langgraph", "openai"])
def test_it_works_with_the_oldest_packages_it_allows(
    template: Path, tmp_path: Path, framework: str
) -> None:
    combination = Combination(framework, ("short_term", "long_term"), "local")
    project = Project(render(template, combination, tmp_path / "p"), tmp_path / "environment")
    project.uv("sync", "--quiet", "--resolution", "lowest-direct")
    assert " passed" in project.uv("run", "--no-sync", "pytest", "-q")
