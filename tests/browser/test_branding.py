"""The page is its owner's: name, colours, words; and it is light."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Open
from tests.browser.visit import open_page
from tests.standins.model import StandinModel
from tests.support.project import Project, Server

pytestmark = pytest.mark.parametrize("project", ["openai"], indirect=True)
OWN = """
name = "Acme <Desk>"
accent = "#ffcc00"
language = "de"
greeting = "Was darf es sein?"
prompts = ["Zeig mir eine Tabelle", "Show me a table"]
disclaimer = "Nur zur Probe."
[texts]
write_message = "Frag Acme"
"""
LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle r="9" fill="gold"/></svg>'


@pytest.fixture
def branded(server: Server, project: Project) -> Iterator[Server]:
    """Yield the server of a project whose owner has branded its page."""
    files = [(project.folder / "agent_server" / name) for name in ("page.toml", "logo.svg")]
    before = [path.read_text() for path in files]
    for path, text in zip(files, (OWN, LOGO), strict=True):
        path.write_text(text)
    yield server
    for path, text in zip(files, before, strict=True):
        path.write_text(text)


def test_the_page_is_the_owners(browser: Browser, branded: Server, model: StandinModel) -> None:
    here = open_page(browser, branded)
    expect(here.page).to_have_title("Neue Unterhaltung · Acme <Desk>")
    expect(here.page.locator("html")).to_have_attribute("lang", "de")
    expect(here.page.get_by_role("heading", name="Was darf es sein?")).to_be_visible()
    expect(here.page.get_by_placeholder("Frag Acme")).to_be_visible()
    expect(here.page.get_by_text("Nur zur Probe.")).to_be_visible()
    here.page.get_by_role("button", name="Show me a table").click()
    expect(here.page.get_by_role("button", name="Als CSV kopieren")).to_be_visible()
    here.page.context.close()
    assert here.problems == []


def test_its_icon_and_manifest_are_the_owners(browser: Browser, branded: Server) -> None:
    here = open_page(browser, branded)
    manifest = here.page.evaluate("fetch('static/manifest.webmanifest').then((r) => r.json())")
    assert manifest["name"] == "Acme <Desk>" and manifest["theme_color"] == "#ffcc00"
    logo = here.page.evaluate("fetch('static/logo.svg').then((r) => r.text())")
    assert logo == LOGO
    here.page.context.close()


def test_the_whole_page_is_at_most_60_kb_over_the_wire(browser: Browser, server: Server) -> None:
    with browser.new_context(base_url=str(server.http.base_url)) as context:
        page = context.new_page()
        received = count_received(page)
        page.goto("/")
        expect(page.get_by_role("button", name="What time is it?")).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert 20 * 1024 < sum(received) <= 60 * 1024


# 28 KB of it read Markdown and keep it harmless, 34 KB are the page itself, and 15 KB are headers,
# most of which HTTP/2 saves. Less would take a build, which the page does without.
def test_a_page_with_a_conversation_is_at_most_84_kb(visit: Open) -> None:
    first, again = visit(), visit("")
    first.say("hello")
    received = count_received(again.page)
    again.page.goto(first.page.url)
    expect(again.answers).to_have_count(1)
    again.page.wait_for_load_state("networkidle")
    assert 60 * 1024 < sum(received) <= 84 * 1024


def count_received(page: Page) -> list[float]:
    """Return a list of what each request of a page brings, in bytes, headers included."""
    received: list[float] = []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    session.on("Network.loadingFinished", lambda end: received.append(end["encodedDataLength"]))
    return received
