"""A running server of each framework, with every kind of memory, for tests that attack it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Renders
from tests.standins.model import StandinModel, open_standin_model
from tests.support.background_project import make_project
from tests.support.project import Project, Server
from tests.support.rendering import FRAMEWORKS

MEMORY = ("short_term", "long_term", "background", "chat")


@pytest.fixture(scope="session", params=FRAMEWORKS)
def agent(
    request: pytest.FixtureRequest,
    renders: Renders,
    environments: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """Return an installed project with every kind of memory, and tools that take time or space.

    All tests of this folder share it, and no others: its packages are in a folder of its own.
    """
    folder = tmp_path_factory.mktemp("attacked") / "my-agent"
    place = environments / f"{request.param} attacked"
    return make_project(renders.template, request.param, folder, place, MEMORY)


@pytest.fixture(scope="session")
def model() -> Iterator[StandinModel]:
    """Yield a model whose failures a test chooses."""
    with open_standin_model() as model:
        yield model


@pytest.fixture(scope="session")
def database(agent: Project) -> Iterator[str]:
    """Yield the URL of a Postgres that outlives the servers."""
    with agent.open_database() as url:
        yield url


@contextmanager
def open_server(
    agent: Project, database: str, model: StandinModel, **variables: str
) -> Iterator[Server]:
    """Yield a server that is ready, and that says in its log when its event loop is held."""
    places = {"DATABASE_URL": database, "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
    with Server(agent, WATCH_EVENT_LOOP="1", **places, **variables) as server:
        yield server.until_ready()


@pytest.fixture(scope="module")
def server(agent: Project, database: str, model: StandinModel) -> Iterator[Server]:
    """Yield a server that a module's tests attack one after the other."""
    with open_server(agent, database, model) as server:
        yield server


@pytest.fixture(autouse=True)
def well_behaved_model(model: StandinModel) -> Iterator[None]:
    """Let the model behave again after each test."""
    yield
    model.reset()
