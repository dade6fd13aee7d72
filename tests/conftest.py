"""What several test files share: the template, and every combination rendered from it."""

import signal
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from zlib import crc32

import pytest

from tests.support.project import Project, install
from tests.support.releases import Published, leave_out_rooms, publish
from tests.support.rendering import (
    FRAMEWORKS,
    Combination,
    copy_questions,
    copy_template,
    render,
    without_git,
)

Projects = Callable[[str], Project]
# They begin first, or one process would still be busy with them when the others have ended. Attacks
# mostly wait, and browsers never do: these run beside those.
LONGEST = (
    "abuse", "test_house", "test_render_matrix", "test_conversations", "test_for_everybody",
    "test_hostile_text", "test_nothing_lost", "test_answers_go_on", "test_update",
    "test_merging_releases", "test_on_lakebase", "test_projects", "test_background",
    "test_under_load", "test_server", "test_update_tables", "test_update_switches", "test_doctor",
)  # fmt: skip
RENDERED = ("test_render_matrix", "test_house")


def pytest_configure() -> None:
    """Let the programs that tests start notice Ctrl-C.

    A shell has what it runs in the background ignore it, and programs hand that on.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a process have all tests of a file and a framework: they share a project.

    Those of what is rendered share all renders, and those that attack a server share one.
    """
    place = {name: place for place, name in enumerate(LONGEST)}
    ids = {item.nodeid for item in items}
    items.sort(key=lambda item: place.get(_part(item), len(place)))
    for item in items:
        framework = next((name for name in FRAMEWORKS if name in item.name), "")
        name = _part(item)
        group = "rendered" if name in RENDERED else f"{name} {framework}"
        item.add_marker(pytest.mark.xdist_group(group))
        if framework and _is_the_others_turn(item.nodeid, framework, ids):
            item.add_marker(pytest.mark.long)


def _is_the_others_turn(test: str, framework: str, tests: set[str]) -> bool:
    """Whether `.ci/run` has this test for the other framework's project alone.

    It has half of such tests for each framework: they cost most of its minutes.
    """
    [other] = set(FRAMEWORKS) - {framework}
    name = test.replace(framework, "")
    # The tests of the page differ little: those of a file have one server.
    chosen = name.partition("::")[0] if test.startswith("tests/browser/") else name
    turn = FRAMEWORKS[crc32(chosen.encode()) % 2]
    return test.replace(framework, other) in tests and turn != framework


def _part(item: pytest.Item) -> str:
    return "abuse" if item.path.parent.name == "abuse" else item.path.stem


class Renders(dict[Combination, Path]):
    """Where each combination is rendered; done when it is asked for."""

    def __init__(self, template: Path, root: Path, chosen: Sequence[Combination] = ()) -> None:
        super().__init__()
        self.template, self.root, self.chosen = template, root, chosen

    def __missing__(self, combination: Combination) -> Path:
        """Render a combination."""
        with without_git():
            self[combination] = render(self.template, combination, self.root / str(combination))
        return self[combination]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the template without git."""
    return copy_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def small_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the template without most of its files."""
    folder = copy_template(tmp_path_factory.mktemp("small template"))
    leave_out_rooms(folder / "template")
    return folder


@pytest.fixture(scope="session")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template's questions and hooks; it renders nothing but the answers."""
    return copy_questions(tmp_path_factory.mktemp("questions"))


@pytest.fixture(scope="session")
def renders(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Renders:
    """Return where each combination is rendered."""
    return Renders(template, tmp_path_factory.mktemp("renders"))


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where packages go, in a folder for each framework that all test files share.

    Their next project there is ready soon: the packages are there, and compiled. It must be synced,
    and takes the place of the one before.
    """
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Return a home in which the template is published, with earlier releases."""
    home = tmp_path_factory.mktemp("home of ada")
    publish(home)
    return Published(home)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Return a home in which the template is published without most of its files."""
    home = tmp_path_factory.mktemp("home of grace")
    publish(home, small=True)
    return Published(home)


@pytest.fixture(scope="module", params=["langgraph", "openai"])
def project(request: pytest.FixtureRequest, renders: Renders, environments: Path) -> Project:
    """Return an installed project with every memory."""
    combination = Combination(request.param, ("short_term", "long_term", "chat"), "local")
    return install(renders[combination], environments / request.param)


@pytest.fixture(scope="module")
def projects(renders: Renders, environments: Path) -> Projects:
    """Return what installs a framework's project for Lakebase; its code fits every flavour."""

    @cache
    def installed(framework: str) -> Project:
        combination = Combination(framework, ("short_term", "long_term"), "autoscaling")
        return install(renders[combination], environments / framework)

    return installed
