"""What can be done with a message: copy, edit, ask again, leaf through, judge."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.visit import FINISHED, Visit
from tests.standins.model import StandinModel

pytestmark = pytest.mark.parametrize("project", ["openai"], indirect=True)
CLIPBOARD = ["clipboard-read", "clipboard-write"]


def edit(here: Visit, text: str) -> None:
    """Ask something else in place of the last question."""
    here.button("Edit this question").click()
    box = here.page.get_by_role("textbox", name="Your question")
    box.fill(text)
    box.press("Enter")


def regenerate(here: Visit) -> None:
    """Have the last question answered anew."""
    here.bar.get_by_role("button", name="Regenerate").click()
    here.until_idle()


def copied(page: Page) -> str:
    """Return what is on the clipboard."""
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_an_answer_is_copied_as_the_model_wrote_it(visit: Open, model: StandinModel) -> None:
    model.pieces = ["**Bold** and `code`"]
    here = visit(permissions=CLIPBOARD)
    here.say("hello").get_by_role("button", name="Copy this message").click()
    here.page.wait_for_function("document.querySelector('.done')")
    assert copied(here.page) == "**Bold** and `code`"


def test_an_edited_question_takes_the_place_of_the_last(visit: Open) -> None:
    here = visit()
    here.say("My name is Eve")
    edit(here, "My name is Ada")
    expect(here.answers).to_contain_text("Ada")
    expect(here.bar).to_contain_text("2 of 2")
    assert "Ada" in here.say("What is my name?").inner_text()
    here.page.reload()
    expect(here.messages.locator(".user")).to_have_count(2)
    expect(here.messages).not_to_contain_text("Eve")


def test_an_edit_can_be_cancelled(visit: Open) -> None:
    here = visit()
    here.say("hello")
    here.button("Edit this question").click()
    here.page.get_by_role("textbox", name="Your question").fill("other")
    here.page.keyboard.press("Escape")
    expect(here.button("Edit this question")).to_be_focused()
    expect(here.messages.locator(".bubble")).to_have_text(["hello"])


def test_earlier_answers_are_kept_and_leafed_through(visit: Open, model: StandinModel) -> None:
    here = visit()
    model.pieces = ["Answer 1."]
    here.say("hello")
    for number in (2, 3):
        model.pieces = [f"Answer {number}."]
        regenerate(here)
    here.page.reload()
    shown, steps = here.answers.filter(visible=True), ["Earlier", "Earlier", "Later", "Later"]
    for step, number in zip(steps, (2, 1, 2, 3), strict=True):
        here.button(f"{step} version").press("Enter")
        expect(shown).to_contain_text(f"Answer {number}.")
        expect(shown).to_contain_text(f"{number} of 3")


def test_a_regenerate_that_the_model_refuses_keeps_the_answer(
    visit: Open, model: StandinModel
) -> None:
    here = visit()
    before = here.say("hello").inner_text()
    model.status = 400
    here.bar.get_by_role("button", name="Regenerate").click()
    expect(here.messages.get_by_role("alert")).to_be_visible(timeout=FINISHED)
    here.allow("a status of 502")
    here.page.reload()
    assert here.answers.inner_text() == before
    expect(here.messages.get_by_role("alert")).to_have_count(0)


def test_a_stopped_regenerate_gives_the_answer_back(
    visit: Open, slow_words: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = visit()
    here.say("/repeat 9")
    here.bar.get_by_role("button", name="Regenerate").click()
    expect(here.answers).to_contain_text("word2", timeout=FINISHED)
    here.button("Stop").click()
    expect(here.messages.get_by_text("Stopped", exact=True)).to_be_visible()
    expect(here.answers).to_contain_text("word9")
    expect(here.messages).not_to_contain_text("incomplete")


def test_a_thumb_is_kept_and_can_be_taken_back(visit: Open) -> None:
    here = visit()
    here.say("hello")
    up = here.bar.get_by_role("button", name="Good answer")
    up.click()
    expect(up).to_have_attribute("aria-pressed", "true")
    here.page.reload()
    expect(up).to_have_attribute("aria-pressed", "true")
    up.click()
    expect(up).to_have_attribute("aria-pressed", "false")


def test_a_thumb_down_may_say_why(visit: Open) -> None:
    here = visit()
    here.say("hello")
    here.bar.get_by_role("button", name="Bad answer").click()
    here.dialog.get_by_role("textbox").fill("It is not a model.")
    here.dialog.get_by_role("button", name="Send comment").click()
    expect(here.bar).to_contain_text("Thank you.")
    given = here.page.evaluate("fetch('api/feedback').then((response) => response.json())")
    assert [(each["value"], each["comment"]) for each in given] == [(False, "It is not a model.")]


def test_the_buttons_of_a_message_are_one_stop_of_the_tab_key(visit: Open) -> None:
    here = visit()
    here.say("hello")
    stops = here.bar.locator("[tabindex='0']")
    expect(stops).to_have_count(1)
    stops.focus()
    here.page.keyboard.press("ArrowRight")
    expect(here.button("Good answer")).to_be_focused()
    expect(stops).to_have_count(1)


def test_an_empty_box_leads_up_to_the_last_question(visit: Open) -> None:
    here = visit()
    here.say("hello")
    here.box.press("ArrowUp")
    expect(here.page.get_by_role("textbox", name="Your question")).to_have_value("hello")


def test_a_conversation_is_saved_as_markdown(visit: Open) -> None:
    here = visit()
    here.say("What time is it?")
    with here.page.expect_download() as download:
        here.button("Save as Markdown").click()
    assert download.value.suggested_filename == "What-time-is-it.md"
    text = download.value.path().read_text()
    assert re.match(r"# What time is it\?\n\n\*\*You said:\*\*\n\nWhat time", text)
    assert "*get_current_time*" in text and "It is 20" in text


def test_paper_has_the_whole_conversation_and_nothing_else(visit: Open) -> None:
    here = visit()
    here.say("/repeat 900")
    here.page.emulate_media(media="print")
    shown = here.page.evaluate("[document.body, scroller].map((e) => getComputedStyle(e).overflow)")
    assert shown == ["visible", "visible"]
    for gone in (here.box, here.bar, here.page.get_by_role("navigation")):
        expect(gone).to_be_hidden()


def test_a_user_exports_and_forgets_all_of_their_data(visit: Open) -> None:
    here = visit(who="local-user")  # a download has no headers that a test sets
    here.say("My name is Ada")
    here.button(here.user).click()
    with here.page.expect_download() as download:
        here.page.get_by_role("link", name="Export my data").click()
    assert "My name is Ada" in download.value.path().read_text()
    here.button("Forget me").click()
    here.dialog.get_by_role("button", name="Forget me").click()
    expect(here.page.get_by_text("No conversations yet.")).to_be_visible(timeout=FINISHED)
