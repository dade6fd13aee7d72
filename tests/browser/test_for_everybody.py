"""The page by keyboard, with a screen reader, in the dark, on a phone, and before the server."""

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect

from tests.browser.conftest import Open
from tests.browser.visit import Visit
from tests.support.project import Project, Server

DESKTOP, PHONE = ViewportSize(width=1200, height=800), ViewportSize(width=390, height=780)
CODE = "Look:\n\n```python\nprint('" + "long " * 40 + "')\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |"


# What is behind the open drawer is inert, which axe takes for missing.
BEHIND = re.compile("landmark-one-main|page-has-heading-one")


def findings(page: Page) -> list[str]:
    """Return what axe finds: what keeps somebody from using the page, or is only bad practice."""
    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {[node['html'] for node in v['nodes']]}" for v in found]


def fill(here: Visit) -> None:
    """Put on the page what it can show: a tool call, code and a table."""
    here.say("Remember that I like teal")
    here.messages.locator("summary").click()
    here.say(CODE)


def open_memories(here: Visit) -> None:
    """Open the panel with the one memory that there is."""
    here.button("What I remember about you").click()
    expect(here.dialog.get_by_role("listitem")).to_have_count(1)


def press(here: Visit, *keys: str) -> None:
    """Press keys, one after the other."""
    for key in keys:
        here.page.keyboard.press(key)


def say_by_keyboard(here: Visit) -> None:
    """Begin a conversation without the mouse, and wait for its answer."""
    here.page.keyboard.type("hello")
    press(here, "Enter")
    expect(here.chats).to_have_count(1)
    here.until_idle()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit: Open, scheme: str, size: ViewportSize) -> None:
    here = visit(viewport=size, color_scheme=scheme, reduced_motion="reduce")
    expect(here.button("What time is it?")).to_be_visible()
    assert findings(here.page) == []
    fill(here)
    assert findings(here.page) == []
    if size == PHONE:
        here.button("Show conversations").click()
        assert [found for found in findings(here.page) if not BEHIND.match(found)] == []
    open_memories(here)
    assert findings(here.page) == []
    here.button("Forget all").click()
    assert findings(here.page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_an_earlier_version_an_edit_and_the_help(
    visit: Open, scheme: str
) -> None:
    here = visit(color_scheme=scheme, reduced_motion="reduce")
    here.say("hello")
    here.bar.get_by_role("button", name="Regenerate").click()
    here.button("Earlier version").click()
    here.button("Later version").focus()
    here.page.keyboard.press("?")
    expect(here.dialog).to_be_visible()
    assert findings(here.page) == []
    here.page.keyboard.press("Escape")
    here.box.press("ArrowUp")
    expect(here.page.get_by_role("textbox", name="Your question")).to_be_focused()
    assert findings(here.page) == []


def test_axe_finds_a_planted_problem(visit: Open) -> None:
    here = visit()
    here.page.evaluate("document.getElementById('message').removeAttribute('aria-label')")
    here.page.evaluate("document.getElementById('message').removeAttribute('placeholder')")
    assert any(finding.startswith("label:") for finding in findings(here.page))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_is_wider_than_the_window(visit: Open, size: ViewportSize) -> None:
    here = visit(viewport=size)
    here.say(CODE + "\n\n" + "x" * 400)
    width = here.page.evaluate(
        "Math.max(...['html', 'main'].map((q) => document.querySelector(q).scrollWidth))"
    )
    assert width <= size["width"]


def test_enter_sends_and_shift_enter_starts_a_new_line(visit: Open) -> None:
    here = visit()
    here.box.press_sequentially("one")
    here.box.press("Shift+Enter")
    here.box.press_sequentially("two")
    here.box.press("Enter")
    expect(here.messages.locator(".bubble")).to_have_text("one\ntwo", use_inner_text=True)
    expect(here.box).to_have_value("")
    here.until_idle()


def test_enter_that_confirms_a_composed_word_sends_nothing(visit: Open) -> None:
    here = visit()
    here.box.fill("にほ")
    here.box.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    expect(here.box).to_have_value("にほ")
    expect(here.messages.locator("li")).to_have_count(0)


def test_a_whole_visit_needs_no_mouse(visit: Open) -> None:
    here = visit()
    expect(here.box).to_be_focused()
    say_by_keyboard(here)
    expect(here.box).to_be_focused()
    here.chats.first.focus()
    press(here, "ArrowRight", "ArrowRight", "Enter")
    expect(here.dialog.get_by_role("button", name="Cancel")).to_be_focused()
    here.page.keyboard.press("Escape")
    expect(here.button("Delete")).to_be_focused()
    press(here, "Enter", "Tab", "Enter")
    expect(here.chats).to_have_count(0)
    expect(here.box).to_be_focused()


def test_a_list_that_loads_while_a_dialog_is_open_keeps_the_focus(visit: Open) -> None:
    here = visit()
    here.say("hello")
    held: list[Route] = []
    here.page.route("**/api/chats?**", lambda route: held.append(route))
    here.start("again")
    here.until_idle()
    here.button("Delete").press("Enter")
    with here.page.expect_response("**/api/chats?**"):
        held[0].continue_()
    expect(here.dialog.get_by_role("button", name="Cancel")).to_be_focused()
    here.page.keyboard.press("Escape")
    expect(here.button("Delete")).to_be_focused()


def test_the_focus_is_visible(visit: Open) -> None:
    here = visit()
    here.page.keyboard.press("Shift+Tab")
    outline = "getComputedStyle(document.activeElement).outline"
    assert re.search(r"\b[1-9]px\b", here.page.evaluate(outline))


def test_a_screen_reader_hears_the_answer_once(visit: Open, slow_words: None) -> None:
    here = visit()
    here.page.evaluate("""() => {
        window.heard = [];
        const live = document.getElementById("live");
        new MutationObserver(() => heard.push(live.textContent)).observe(live, {childList: true});
    }""")
    here.say("/repeat 12")
    words = " ".join(f"word{number}" for number in range(1, 13))
    assert here.page.evaluate("heard") == ["The agent is answering.", words]


def test_the_list_is_a_drawer_on_a_phone(visit: Open) -> None:
    here = visit(viewport=PHONE, has_touch=True, is_mobile=True)
    here.say("hello")
    expect(here.chats.first).to_be_hidden()
    here.button("Show conversations").tap()
    expect(here.chats.first).to_be_visible()
    here.page.keyboard.press("Escape")
    expect(here.chats.first).to_be_hidden()
    here.button("Show conversations").tap()
    here.page.get_by_role("complementary").get_by_role("link", name="New").tap()
    expect(here.chats.first).to_be_hidden()
    expect(here.page.get_by_role("heading", name="How can I help?")).to_be_visible()


def test_the_theme_follows_the_system_until_the_user_chooses(visit: Open) -> None:
    here = visit(color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = here.page.evaluate(ground)
    here.button("Light or dark").click()
    light = here.page.evaluate(ground)
    assert light != dark
    here.page.reload()
    assert here.page.evaluate(ground) == light


def test_the_page_is_shown_before_the_server_answers(visit: Open) -> None:
    here = visit("")
    held: list[Route] = []
    here.page.route("**/api/**", lambda route: held.append(route))
    here.page.goto("/")
    expect(here.page.get_by_role("heading", name="How can I help?")).to_be_visible()
    expect(here.box).to_be_focused()
    here.page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
    assert len(held) == 2
    for route in held:
        route.continue_()
    expect(here.page.get_by_text(here.user)).to_be_visible()


def test_an_api_that_fails_at_first_can_be_retried(visit: Open) -> None:
    here = visit("")
    here.page.route("**/api/**", lambda route: route.fulfill(status=503, json=NOT_READY))
    here.page.goto("/")
    expect(here.page.get_by_text("It is starting.")).to_have_count(2)
    here.allow("a status of 503")
    here.page.unroute("**/api/**")
    for retry in reversed(here.button("Retry").all()):
        retry.click()
    expect(here.page.get_by_text(here.user)).to_be_visible()
    expect(here.page.get_by_text("No conversations yet.")).to_be_visible()


NOT_READY: dict[str, Any] = {"error": {"message": "It is starting.", "code": "not_ready"}}


def test_code_can_be_copied(visit: Open) -> None:
    here = visit(permissions=["clipboard-read", "clipboard-write"])
    here.say("Look:\n\n```\na < b\n```\n\nBye")
    here.page.get_by_role("button", name="Copy", exact=True).click()
    expect(here.button("Copied")).to_be_visible()
    assert here.page.evaluate("navigator.clipboard.readText()") == "a < b\n"


def test_it_says_when_no_model_answers(browser: Browser, project: Project) -> None:
    ada = {"X-Forwarded-User": "ada@example.com"}
    with Server(project) as server, browser.new_context(viewport=DESKTOP) as context:
        context.set_extra_http_headers(ada)
        here = Visit(context.new_page(), "ada")
        here.page.goto(str(server.until_ready().http.base_url))
        expect(here.page.get_by_text("the answers come from a script")).to_be_visible()
        talk(here)
        here.take("chat")
    assert here.problems == []


def talk(here: Visit) -> None:
    """Say what the README's picture shows: a remembered fact, and the tool that kept it."""
    for question in ("Plan my week", "What time is it?", "Remember that I like teal"):
        here.page.get_by_role("link", name="New conversation").click()
        here.say(question)
    here.messages.locator("summary").click()
    here.say("What do you know about me?")
