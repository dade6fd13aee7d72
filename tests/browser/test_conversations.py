"""Talking on the chat page, and finding a conversation again."""

import re

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.conftest import Open
from tests.browser.visit import FINISHED, Visit, open_page
from tests.standins.model import SECRET, StandinModel
from tests.support.project import Project, Server

NAME = "What is my name?"


def texts(visit: Visit) -> list[str]:
    return visit.messages.locator("li").all_inner_texts()


def lose_answer(route: Route) -> None:
    """Let the server answer, and the answer be lost on its way."""
    route.fetch()
    route.abort()


def expect_explanation(here: Visit) -> None:
    """Expect the failure to be explained in a sentence, without the model's secrets."""
    alert = here.messages.get_by_role("alert")
    expect(alert).to_have_text(re.compile(r"^[A-Z].+\.$"), timeout=FINISHED)
    expect(alert).not_to_contain_text(SECRET)
    if here.problems:  # in the background the failure comes with the stream
        here.allow("a status of 502")


def test_an_answer_grows_while_it_is_streamed(visit: Open, slow_words: None) -> None:
    here = visit()
    here.start("/repeat 90")
    expect(here.answers).to_contain_text("word2", timeout=FINISHED)
    assert "word90" not in here.answers.inner_text()
    expect(here.answers).to_contain_text("word90", timeout=2 * FINISHED)


def test_a_tool_call_shows_its_arguments_and_its_result(visit: Open) -> None:
    here = visit()
    here.say('/call get_current_time {"timezone": "Europe/Amsterdam"}')
    card = here.messages.get_by_role("group")
    expect(card).to_contain_text("get_current_time")
    expect(card.get_by_label("Result")).to_be_hidden()
    card.locator("summary").click()
    expect(card.get_by_label("Arguments")).to_contain_text('"timezone": "Europe/Amsterdam"')
    expect(card.get_by_label("Result")).to_contain_text(re.compile(r"\d{4}-\d\d-\d\dT"))


def test_a_stopped_answer_keeps_its_text_and_is_marked_incomplete(
    visit: Open, slow_words: None
) -> None:
    here = visit()
    here.start("/repeat 200")
    expect(here.answers).to_contain_text("word5", timeout=FINISHED)
    here.button("Stop").click()
    here.until_idle()
    expect(here.messages.get_by_text("Stopped", exact=True)).to_be_visible()
    expect(here.messages.get_by_role("alert")).to_have_count(0)
    expect(here.answers).to_contain_text("incomplete")
    here.until_stored(2)
    here.page.reload()
    expect(here.answers).to_contain_text("word5")
    expect(here.answers).to_contain_text("incomplete")
    assert "word200" not in here.answers.inner_text()


def test_a_stopped_answer_can_be_retried(
    visit: Open, slow_words: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = visit()
    here.start("/repeat 100")
    expect(here.answers).to_contain_text("word2", timeout=FINISHED)
    here.button("Stop").click()
    expect(here.messages.get_by_text("Stopped", exact=True)).to_be_visible()
    monkeypatch.setenv("LOCAL_MODEL_DELAY_MS", "0")
    here.button("Regenerate").click()
    expect(here.answers).to_contain_text("word100", timeout=FINISHED)
    here.reload_when_idle()
    expect(here.answers).to_contain_text("word100")
    expect(here.messages).not_to_contain_text("incomplete")
    expect(here.messages.locator("li")).to_have_count(2)
    expect(here.bar).to_contain_text("2 of 2")


def test_a_question_whose_answer_was_lost_in_transit_is_stored_once(visit: Open) -> None:
    here = visit()
    here.say("hello")
    here.page.route("**/api/chat", lose_answer)
    here.start("My name is Ada")
    here.button("Retry").click()
    expect(here.answers).to_have_count(2)
    here.page.reload()
    expect(here.messages.locator("li")).to_have_count(4)
    here.allow("net::ERR_FAILED")


def test_so_is_one_of_a_conversation_of_several_pages(
    visit: Open, server: Server, user: str
) -> None:
    chat = tell(server, user, {"message": "number 0"})
    for number in range(1, 26):
        tell(server, user, {"chatId": chat, "message": f"number {number}"})
    here = visit(f"/?chat={chat}")
    here.page.route("**/api/chat", lose_answer)
    here.start("My name is Ada")
    here.button("Retry").click()
    expect(here.answers.last).to_contain_text("Ada")
    here.reload_when_idle()
    expect(here.messages.locator(".user").filter(has_text="My name is Ada")).to_have_count(1)
    here.allow("net::ERR_FAILED")


@pytest.mark.parametrize("project", ["langgraph"], indirect=True)
def test_a_stopped_answer_that_fills_a_page_can_be_retried_after_a_reload(
    project: Project, model: StandinModel, browser: Browser, slow_words: None
) -> None:
    more = {"PAGE_BYTES": "10", "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
    with Server(project, **more) as server:
        here = open_page(browser, server.until_ready())
        here.start("/repeat 60")
        expect(here.answers).to_contain_text("word5", timeout=FINISHED)
        here.button("Stop").click()
        here.until_stored(1)
        here.reload_when_idle()
        here.button("Retry").click()
        expect(here.answers).to_contain_text("word60", timeout=FINISHED)
        here.page.context.close()


@pytest.mark.parametrize("project", ["openai"], indirect=True)
def test_the_title_that_the_model_makes_is_shown_without_a_reload(
    project: Project, model: StandinModel, browser: Browser
) -> None:
    more = {"CHAT_TITLES": "true", "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
    model.pieces, model.only_to = ["Tea and cake"], b"Give a conversation a title"
    with Server(project, **more) as server:
        here = open_page(browser, server.until_ready())
        here.page.evaluate("window.same = true")
        here.say("hello")
        expect(here.chats.first).to_have_text("Tea and cake")
        expect(here.page.get_by_role("heading", level=1)).to_have_text("Tea and cake")
        assert here.page.evaluate("window.same") and here.problems == []
        here.page.context.close()


def test_nothing_is_sent_before_the_conversation_has_loaded(visit: Open) -> None:
    first = visit()
    first.say("hello")
    here, held = visit(""), list[Route]()
    here.page.route("**/messages", lambda route: held.append(route))
    here.page.goto(first.page.url)
    here.start("again")
    expect(here.button("Send")).to_be_disabled()
    expect(here.box).to_have_value("again")
    held[0].continue_()
    expect(here.answers).to_have_count(1)
    here.say("again")
    expect(here.messages.locator("li")).to_have_count(4)


def test_a_question_need_not_wait_until_the_user_is_known(visit: Open) -> None:
    here, held = visit(""), list[Route]()
    here.page.route("**/api/me", lambda route: held.append(route))
    here.page.goto("/")
    here.say("hello")
    held[0].continue_()


def test_a_conversation_that_was_deleted_elsewhere_can_be_deleted(visit: Open) -> None:
    first, second = visit(), visit()
    first.say("hello")
    second.page.reload()
    for here in (first, second):
        here.chats.first.hover()
        here.button("Delete").click()
        here.dialog.get_by_role("button", name="Delete").click()
        expect(here.chats).to_have_count(0)
    second.allow("a status of 404")


def test_a_reload_shows_the_same_conversation(visit: Open) -> None:
    here = visit()
    here.say("Remember that I like teal")
    here.say("What time is it?")
    before = texts(here)
    here.page.reload()
    expect(here.answers).to_have_count(2)
    assert texts(here) == before


def test_a_url_resumes_a_conversation_in_another_browser(visit: Open) -> None:
    first = visit()
    first.say("My name is Ada")
    second = visit(first.page.url)
    expect(second.messages).to_contain_text("My name is Ada")
    expect(second.say(NAME)).to_contain_text("your name is Ada")


def test_the_back_button_returns_to_the_previous_conversation(visit: Open) -> None:
    here = visit()
    here.say("first words")
    here.page.get_by_role("link", name="New conversation").click()
    here.say("second words")
    here.page.go_back()
    here.page.go_back()
    expect(here.messages).to_contain_text("first words")
    expect(here.page.get_by_role("heading", level=1)).to_have_text("first words")


def test_a_second_conversation_does_not_see_the_first(visit: Open) -> None:
    here = visit()
    here.say("My name is Ada")
    here.page.get_by_role("link", name="New conversation").click()
    expect(here.messages).not_to_contain_text("Ada")
    assert "Ada" not in here.say(NAME).inner_text()
    expect(here.chats).to_have_text([NAME, "My name is Ada"])


def test_leaving_a_conversation_does_not_stop_its_answer(visit: Open, slow_words: None) -> None:
    here = visit()
    here.start("/repeat 40")
    expect(here.answers).to_contain_text("word2", timeout=FINISHED)
    here.page.get_by_role("link", name="New conversation").click()
    expect(here.page.get_by_role("heading", name="How can I help?")).to_be_visible()
    here.chats.first.click()
    expect(here.answers).to_contain_text("word40", timeout=FINISHED)
    expect(here.messages).not_to_contain_text("incomplete")


def test_a_conversation_can_be_renamed(visit: Open) -> None:
    here = visit()
    here.say("hello")
    here.button("Rename").click()
    here.dialog.get_by_role("textbox").fill("Greetings <b>all</b>")
    here.dialog.get_by_role("textbox").press("Enter")
    expect(here.page.get_by_role("heading", level=1)).to_have_text("Greetings <b>all</b>")
    here.page.reload()
    expect(here.chats).to_have_text(["Greetings <b>all</b>"])


def test_a_conversation_is_deleted_after_confirmation(visit: Open) -> None:
    here = visit()
    here.say("hello")
    here.button("Delete").click()
    here.dialog.get_by_role("button", name="Delete").click()
    expect(here.chats).to_have_count(0)
    expect(here.page.get_by_role("heading", name="How can I help?")).to_be_visible()
    here.page.reload()
    expect(here.page.get_by_role("status").first).to_have_text("No conversations yet.")


def test_a_dialog_that_is_reopened_at_once_still_works(visit: Open) -> None:
    here = visit()
    here.say("hello")
    here.button("Delete").click()
    # In one go: the browser tells later that the first dialog has closed.
    here.page.evaluate("""() => {
        document.getElementById("question-no").click();
        document.querySelector("#chats .delete").click();
    }""")
    here.dialog.get_by_role("button", name="Delete").click()
    expect(here.chats).to_have_count(0)


@pytest.mark.parametrize("way", ["Cancel", "Escape"])
def test_a_conversation_is_kept_without_confirmation(visit: Open, way: str) -> None:
    here = visit()
    here.say("hello")
    here.button("Delete").click()
    if way == "Escape":
        here.page.keyboard.press("Escape")
    else:
        here.dialog.get_by_role("button", name="Cancel").click()
    expect(here.page.get_by_role("dialog")).to_have_count(0)
    here.page.reload()
    expect(here.chats).to_have_text(["hello"])


def test_a_search_finds_titles_and_says_when_nothing_matches(visit: Open) -> None:
    here = visit()
    for said in ("apples", "pears 100%"):
        here.page.get_by_role("link", name="New conversation").click()
        here.say(said)
    search = here.page.get_by_role("searchbox")
    search.fill("100%")
    expect(here.chats).to_have_text(["pears 100%"])
    search.fill("plums")
    expect(here.page.get_by_text("No title and no message has that in it.")).to_be_visible()
    search.fill("")
    expect(here.chats).to_have_text(["pears 100%", "apples"])


def test_a_long_list_is_loaded_in_pages(visit: Open, server: Server, user: str) -> None:
    for number in range(33):
        tell(server, user, {"message": f"chat {number:02}"})
    here = visit()
    here.chats.nth(29).scroll_into_view_if_needed()
    expect(here.chats).to_have_count(33)
    expect(here.chats.last).to_have_text("chat 00")
    expect(here.button("Show more")).to_be_hidden()


def test_a_long_conversation_is_loaded_in_pages(visit: Open, server: Server, user: str) -> None:
    chat = tell(server, user, {"message": "number 00"})
    for number in range(1, 28):
        tell(server, user, {"chatId": chat, "message": f"number {number:02}"})
    here = visit(f"/?chat={chat}")
    expect(here.answers).to_have_count(25)
    expect(here.messages).not_to_contain_text("“number 00”")
    here.button("Show earlier messages").click()
    expect(here.answers).to_have_count(28)
    numbers = re.findall(r"You said:\s+number (\d\d)", here.messages.inner_text())
    assert numbers == [f"{number:02}" for number in range(28)]


def test_a_failure_is_explained_and_can_be_retried(visit: Open, model: StandinModel) -> None:
    here = visit()
    model.status = 400
    here.start("hello")
    expect_explanation(here)
    model.status = 200
    here.button("Retry").click()
    expect(here.answers).to_contain_text("hello", timeout=FINISHED)
    here.reload_when_idle()
    expect(here.messages.locator("li")).to_have_count(2)
    expect(here.chats).to_have_count(1)


def test_a_failure_after_a_tool_call_can_be_retried(visit: Open, model: StandinModel) -> None:
    here = visit()
    here.say("first")
    model.fail_after(1)
    here.start("/call get_current_time")
    expect(here.button("Retry")).to_be_visible(timeout=FINISHED)
    model.status = 200
    here.button("Retry").click()
    expect(here.answers).to_have_count(2, timeout=FINISHED)
    here.reload_when_idle()
    expect(here.answers).to_have_count(2)
    assert "incomplete" not in here.messages.inner_text()
    assert here.messages.inner_text().count("/call get_current_time") == 1


def test_a_lost_connection_loses_no_message(visit: Open) -> None:
    here = visit()
    here.say("one")
    here.page.context.set_offline(True)
    here.start("two")
    expect(here.messages).to_contain_text("The server cannot be reached.")
    here.page.context.set_offline(False)
    here.messages.get_by_role("button", name="Retry").click()
    expect(here.answers).to_have_count(2, timeout=FINISHED)
    here.until_idle()
    here.allow("net::ERR_INTERNET_DISCONNECTED")
    here.page.reload()
    expect(here.messages.locator(".user")).to_have_text([re.compile("one"), re.compile("two")])


def test_another_user_sees_nothing(visit: Open) -> None:
    mine = visit()
    mine.say("Remember that I like ochre")
    theirs = visit(mine.page.url, who="eve@example.com")
    expect(theirs.messages.get_by_role("alert")).to_have_text("There is no such chat.")
    theirs.allow("a status of 404")
    theirs.page.goto("/")
    expect(theirs.page.get_by_text("No conversations yet.")).to_be_visible()
    theirs.button("What I remember about you").click()
    expect(theirs.dialog).to_contain_text("Nothing yet.")
    assert "ochre" not in theirs.page.content()


def test_the_page_shows_who_is_signed_in(visit: Open, user: str) -> None:
    expect(visit().page.get_by_text(user)).to_be_visible()


def tell(server: Server, user: str, body: dict[str, str]) -> str:
    """Say something without the page, and return the id of the chat."""
    response = server.http.post("/api/chat", json=body, headers={"X-Forwarded-User": user})
    assert response.status_code == 200, response.text
    return response.headers["X-Chat-Id"]
