"""The page asks for the user's yes, and shows what was decided."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.visit import Visit, open_page
from tests.conftest import Renders
from tests.standins.answers import Answer, Call
from tests.standins.model import StandinModel
from tests.support.gated_agents import GATED
from tests.support.project import Server, install
from tests.support.rendering import Combination, render


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file that says whom letters were sent to."""
    return tmp_path_factory.mktemp("letters") / "sent"


@pytest.fixture(scope="module")
def gated(
    renders: Renders, tmp_path_factory: pytest.TempPathFactory, model: StandinModel, letters: Path
) -> Iterator[Server]:
    """Yield an agent that asks before it sends letters."""
    folder = tmp_path_factory.mktemp("gated") / "my-agent"
    render(renders.template, Combination("langgraph", ("short_term", "chat"), "local"), folder)
    (folder / "agent_server" / "agent.py").write_text(GATED["langgraph"])
    project = install(folder, tmp_path_factory.mktemp("environment"))
    variables = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none", "SENT": str(letters)}
    with Server(project, **variables) as server:
        yield server.until_ready()


@pytest.fixture
def asked(browser: Browser, gated: Server, model: StandinModel) -> Iterator[Visit]:
    """Yield a page on which a call waits."""
    options = {"extra_http_headers": {"X-Forwarded-User": "bob@example.com"}}
    here = open_page(browser, gated, viewport={"width": 1000, "height": 640}, **options)
    model.script = [
        Answer(
            "I will tell Ada that the meeting is on Thursday.",
            (Call("send", json.dumps({"to": "ada@example.com"})),),
        )
    ]
    here.say("Tell Ada when the meeting is")
    yield here
    here.page.context.close()
    assert here.problems == []


def sent(letters: Path) -> int:
    return len(letters.read_text().split()) if letters.exists() else 0


def test_a_yes_makes_the_call_and_stays_after_a_reload(asked: Visit, letters: Path) -> None:
    before = sent(letters)
    expect(asked.messages).to_contain_text("May I use send?")
    expect(asked.messages.locator(".approval pre")).to_contain_text("ada@example.com")
    assert sent(letters) == before
    asked.take("approval")
    asked.button("Approve").click()
    expect(asked.answers.last).to_contain_text("Sent to ada@example.com.")
    assert sent(letters) == before + 1
    asked.reload_when_idle()
    expect(asked.messages).to_contain_text("You approved this.")
    expect(asked.button("Approve")).to_have_count(0)


def test_a_no_makes_no_call(asked: Visit, letters: Path) -> None:
    before = sent(letters)
    asked.page.reload()  # it waits, however often the page is loaded
    asked.button("Reject").click()
    expect(asked.messages).to_contain_text("You did not approve this.")
    asked.until_idle()
    expect(asked.button("Reject")).to_have_count(0)
    assert sent(letters) == before


def test_another_message_takes_the_buttons_away(asked: Visit, letters: Path) -> None:
    before = sent(letters)
    asked.say("Never mind")
    expect(asked.button("Approve")).to_have_count(0)
    assert sent(letters) == before
