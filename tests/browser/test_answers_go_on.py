"""Answers that go on without their reader, with background responses and without."""

import re
import signal

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Open
from tests.browser.visit import FINISHED, Visit, later, open_page
from tests.standins.model import StandinModel
from tests.support.project import Project, Server


def assert_whole(here: Visit, words: int) -> None:
    """Fail unless the one answer is complete when nothing more comes, and after a reload."""
    expect(here.answers).to_contain_text(f"word{words}", timeout=2 * FINISHED)
    here.until_idle()
    for _ in range(2):
        expect(here.answers).to_have_count(1)
        said = re.findall(r"word(\d+)", here.answers.inner_text())
        assert said == [str(number) for number in range(1, words + 1)]
        expect(here.messages).not_to_contain_text("incomplete")
        here.page.reload()


def test_a_reload_in_the_middle_of_an_answer_resumes_it(visit: Open, slow_words: None) -> None:
    here = visit()
    here.start("/repeat 60")
    expect(here.answers).to_contain_text("word5", timeout=FINISHED)
    here.page.reload()
    assert_whole(here, 60)


def test_an_answer_is_complete_for_a_user_who_comes_back_later(
    visit: Open, slow_words: None
) -> None:
    here = visit()
    here.start("/repeat 30")
    expect(here.answers).to_contain_text("word2", timeout=FINISHED)
    url = here.page.url
    here.page.goto("about:blank")
    here.page.wait_for_timeout(3000)
    here.page.goto(url)
    assert_whole(here, 30)


def test_two_pages_show_the_same_answer_growing(visit: Open, slow_words: None) -> None:
    first = visit()
    first.start("/repeat 60")
    expect(first.answers).to_contain_text("word5", timeout=FINISHED)
    second = visit(first.page.url)
    assert_whole(second, 60)
    assert_whole(first, 60)


def test_an_answer_that_is_stopped_elsewhere_says_so(visit: Open, slow_words: None) -> None:
    first = visit()
    first.start("/repeat 400")
    expect(first.answers).to_contain_text("word5", timeout=FINISHED)
    second = visit(first.page.url)
    expect(second.answers).to_contain_text("word5", timeout=FINISHED)
    first.button("Stop").click()
    expect(second.messages.get_by_text("Stopped", exact=True)).to_be_visible(timeout=FINISHED)
    expect(second.answers).to_contain_text("incomplete")
    expect(second.button("Regenerate")).to_be_visible()


def test_an_answer_that_was_reloaded_can_be_stopped(visit: Open, slow_words: None) -> None:
    here = visit()
    here.start("/repeat 400")
    expect(here.answers).to_contain_text("word5", timeout=FINISHED)
    here.page.reload()
    expect(here.answers).to_contain_text("word5", timeout=FINISHED)
    here.button("Stop").click()
    here.until_idle()
    here.page.reload()
    expect(here.answers).to_contain_text("incomplete")
    assert "word400" not in here.answers.inner_text()


def test_a_stop_that_comes_too_late_keeps_the_answer(visit: Open, slow_words: None) -> None:
    here = visit()
    here.page.route("**/api/chats/*/stop", lambda route: route.fulfill(status=204))
    here.start("/repeat 30")
    expect(here.answers).to_contain_text("word2", timeout=FINISHED)
    here.button("Stop").click()
    assert_whole(here, 30)


def test_a_stop_before_the_answer_begins_is_not_lost(visit: Open, model: StandinModel) -> None:
    model.delay = 10
    here = visit()
    here.start("/repeat 400")
    here.button("Stop").click()
    here.until_idle()
    expect(here.messages.get_by_text("Stopped", exact=True)).to_be_visible()
    here.page.reload()
    expect(here.messages).to_contain_text("There is no answer to this.")


# Chromium lets streams that are open go on when it is told to be offline.
CUT = """
    const real = window.fetch;
    const open = new AbortController();
    window.cut = () => open.abort();
    window.fetch = (path, options) => {
        const cut = path === "api/chat" ? { signal: open.signal } : {};
        return real(path, { ...options, ...cut });
    };
"""


def test_four_seconds_without_a_network_lose_nothing(visit: Open, slow_words: None) -> None:
    here = visit("")
    here.page.add_init_script(CUT)
    here.page.goto("/")
    here.start("/repeat 120")
    expect(here.answers).to_contain_text("word5", timeout=FINISHED)
    here.page.context.set_offline(True)
    here.page.evaluate("cut()")
    expect(here.messages.get_by_text("Reconnecting…")).to_be_visible()
    here.page.wait_for_timeout(4000)
    here.page.context.set_offline(False)
    assert_whole(here, 120)
    here.allow("net::ERR_INTERNET_DISCONNECTED")


def test_an_answer_that_ends_while_its_reader_is_away_is_whole(
    visit: Open, slow_words: None
) -> None:
    here = visit("")
    here.page.add_init_script(CUT)
    here.page.goto("/")
    here.start("/repeat 20")
    expect(here.answers).to_contain_text("word2", timeout=FINISHED)
    here.page.route("**/answer?*", later(3))
    here.page.evaluate("cut()")
    assert_whole(here, 20)


@pytest.mark.parametrize("project", ["langgraph"], indirect=True)
def test_the_page_resumes_by_itself_after_its_server_is_killed(
    project: Project, model: StandinModel, browser: Browser, slow_words: None
) -> None:
    more = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
    with project.open_database() as url:
        with Server(project, DATABASE_URL=url, **more) as server:
            server.until_ready()
            here = open_page(browser, server)
            here.start("/repeat 60")
            expect(here.answers).to_contain_text("word5", timeout=FINISHED)
            server.stop(signal.SIGKILL)
        with Server(project, port=str(server.port), DATABASE_URL=url, **more):
            assert_whole(here, 60)
            here.page.context.close()
