"""A project with the chat page for each framework, its server, and visits to it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.visit import Visit
from tests.conftest import Renders
from tests.standins.model import StandinModel, open_standin_model
from tests.support.project import Project, Server, install
from tests.support.rendering import Combination

ALL = ("short_term", "long_term", "chat")
# With background responses and without, what is seen must be the same.
MEMORY = {"langgraph": ("short_term", "long_term", "background", "chat"), "openai": ALL}
Open = Callable[..., Visit]

expect.set_options(timeout=15_000)  # milliseconds: a machine that runs tests is a busy one


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test here installs a project and runs it."""
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]):
            item.add_marker(pytest.mark.generated)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """Return how the browser starts: Debian's own."""
    if not (chromium := shutil.which("chromium")):
        pytest.skip("there is no chromium on this machine (apt-get install chromium)")
    return {"executable_path": chromium}


@pytest.fixture(scope="session", params=list(MEMORY))
def project(request: pytest.FixtureRequest, renders: Renders, environments: Path) -> Project:
    """Return an installed project with the chat page."""
    combination = Combination(request.param, MEMORY[request.param], "local")
    # Its server may still run while other tests have the environment of the framework.
    return install(renders[combination], environments / f"browser-{request.param}")


@pytest.fixture(scope="session")
def model() -> Iterator[StandinModel]:
    """Yield a model whose failures a test chooses."""
    with open_standin_model() as model:
        yield model


@pytest.fixture(scope="session")
def server(project: Project, model: StandinModel) -> Iterator[Server]:
    """Yield a running server."""
    with Server(project, OPENAI_BASE_URL=model.url, OPENAI_API_KEY="none") as server:
        yield server.until_ready()


@pytest.fixture(autouse=True)
def healthy(model: StandinModel) -> None:
    """Let every test start with a model that works."""
    model.status, model.delay, model.left, model.pieces = 200, 0, -1, None
    model.only_to = b""


@pytest.fixture
def slow_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the model take its time over each word."""
    monkeypatch.setenv("LOCAL_MODEL_DELAY_MS", "60")


@pytest.fixture
def user() -> str:
    """Return somebody who has never been here."""
    return f"{uuid4().hex[:8]}@example.com"


@pytest.fixture
def visit(browser: Browser, server: Server, user: str) -> Iterator[Open]:
    """Yield what opens the page; in the end, nothing on it went wrong or left the site."""
    visits: list[Visit] = []

    def open_visit(path: str = "/", who: str = user, **options: Any) -> Visit:
        headers = {"X-Forwarded-User": who}
        context = browser.new_context(base_url=str(server.http.base_url), **options)
        context.set_extra_http_headers(headers)
        visits.append(Visit(context.new_page(), who))
        visits[-1].page.goto(path)
        return visits[-1]

    yield open_visit
    for visit in visits:
        visit.page.context.close()
    assert [problem for visit in visits for problem in visit.problems] == []
