"""What a person typed is never lost: drafts, messages that were not sent, a session that ended."""

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Open
from tests.browser.visit import Visit

pytestmark = pytest.mark.parametrize("project", ["openai"], indirect=True)


def test_a_draft_survives_a_reload_in_its_own_conversation(visit: Open) -> None:
    here = visit()
    here.say("hello")
    here.box.fill("half a thought")
    here.page.get_by_role("link", name="New conversation").click()
    expect(here.box).to_have_value("")
    here.chats.first.click()
    expect(here.box).to_have_value("half a thought")
    here.page.reload()
    expect(here.box).to_have_value("half a thought")
    here.box.press("Enter")
    expect(here.box).to_have_value("")


@pytest.mark.parametrize("begun", [True, False])
def test_a_message_that_was_not_sent_is_there_after_a_reload(visit: Open, begun: bool) -> None:
    here = visit()
    if begun:
        here.say("hello")
    fail_to_send(here, "My name is Ada")
    expect(here.messages).to_contain_text("Not sent.")
    here.button("Send again").click()
    expect(here.answers.last).to_contain_text("Ada")
    here.reload_when_idle()
    expect(here.messages.locator(".user")).to_have_count(1 + begun)
    expect(here.messages).not_to_contain_text("Not sent.")
    forget_logged(here)


def fail_to_send(here: Visit, message: str) -> None:
    """Send a message that the server does not get, and reload."""
    here.page.route("**/api/chat", lambda route: route.abort())
    here.start(message)
    expect(here.button("Retry")).to_be_visible()
    here.page.unroute("**/api/chat")
    here.page.reload()


def test_one_that_was_answered_all_the_same_is_not_sent_twice(visit: Open) -> None:
    here = visit()
    here.say("hello")
    here.page.route("**/api/chat", lambda route: (route.fetch(), route.abort()))
    here.start("My name is Ada")
    expect(here.button("Retry")).to_be_visible()
    here.page.reload()
    expect(here.messages.locator(".user")).to_have_count(2)
    expect(here.answers.last).to_contain_text("Ada")
    expect(here.messages).not_to_contain_text("Not sent.")
    here.allow("net::ERR_FAILED")


def login(route: Route) -> None:
    route.fulfill(status=302, headers={"Location": "/oidc/login"})


def refuse(route: Route) -> None:
    route.fulfill(status=401, json={"error": {"message": "no", "code": "no_identity"}})


def page(route: Route) -> None:
    route.fulfill(status=200, content_type="text/html", body="<form>Sign in</form>")


@pytest.mark.parametrize("ended", [login, refuse, page], ids=lambda way: str(way.__name__))
def test_a_session_that_ended_says_so_and_keeps_the_text(visit: Open, ended: object) -> None:
    here = visit()
    here.say("hello")
    here.page.route("**/api/**", ended)  # type: ignore[arg-type]
    here.start("My name is Ada")
    expect(here.messages.get_by_role("alert")).to_contain_text("Your session ended")
    here.page.unroute("**/api/**")
    here.messages.get_by_role("button", name="Sign in").click()
    expect(here.messages).to_contain_text("Not sent.")
    here.button("Send again").click()
    expect(here.answers).to_have_count(2)
    forget_logged(here)


def test_an_answer_elsewhere_is_marked_until_it_is_seen(visit: Open, slow_words: None) -> None:
    here = visit()
    here.say("hello")
    here.start("/repeat 40")
    here.page.get_by_role("link", name="New conversation").click()
    expect(marks(here.page)).to_have_class(["mark running"])
    expect(marks(here.page)).to_have_class(["mark unread"])
    here.chats.first.click()
    expect(marks(here.page)).to_have_count(0)


def test_a_second_tab_shows_what_was_said_in_the_first(visit: Open) -> None:
    first = visit()
    first.say("hello")
    second = visit(first.page.url)
    expect(second.answers).to_have_count(1)
    first.say("again")
    second.page.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(second.answers).to_have_count(2)


def test_a_search_shows_where_something_was_said(visit: Open) -> None:
    here = visit()
    here.say("hello")
    here.say("My name is Ottilie")
    here.page.get_by_role("link", name="New conversation").click()
    here.say("bread")
    here.page.keyboard.press("Control+k")
    expect(here.page.get_by_role("searchbox")).to_be_focused()
    here.page.keyboard.type("ottil")
    expect(here.chats).to_have_count(1)
    expect(here.chats).to_contain_text("Ottilie")


def marks(page: Page) -> Locator:
    return page.locator("#chats .mark")


def forget_logged(here: Visit) -> None:
    """Drop what Chromium logged of the failure that the test caused."""
    here.problems[:] = [p for p in here.problems if "Failed to load resource" not in p]
