"""What stands beside an answer on the page: reasoning, sources, and a quiet line."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.standins.answers import cited, cut_off, gpt_oss
from tests.standins.model import StandinModel


@pytest.fixture(autouse=True)
def healthy(model: StandinModel) -> Iterator[None]:
    """Let every test end with a model that behaves."""
    yield
    model.reset()


def test_reasoning_is_folded_and_no_part_of_the_answer(visit: Open, model: StandinModel) -> None:
    seen = visit()
    model.script = [gpt_oss("I ponder.", "Hello Ada.")]
    seen.say("hello")
    expect(seen.answers.last).to_contain_text("Hello Ada.")
    expect(seen.messages.get_by_text("I ponder.")).to_be_hidden()
    seen.messages.get_by_text("Reasoning", exact=True).click()
    expect(seen.messages.get_by_text("I ponder.")).to_be_visible()


def test_sources_are_links_to_web_addresses_alone(visit: Open, model: StandinModel) -> None:
    seen = visit()
    model.script = [cited("As the docs say.", "https://example.com/a", "The docs")]
    seen.say("hello")
    expect(seen.answers.last.get_by_role("link", name="The docs")).to_be_visible()
    model.script = [cited("As it says.", "javascript:window.executed=1", "Click me")]
    seen.say("again")
    expect(seen.answers.last).to_contain_text("As it says.")
    expect(seen.messages.get_by_role("link", name="Click me")).to_have_count(0)


def test_an_answer_that_ends_early_says_why(visit: Open, model: StandinModel) -> None:
    seen = visit()
    model.script = [cut_off("The beginning of")]
    seen.say("hello")
    expect(seen.messages.get_by_text("The answer reached its limit")).to_be_visible()
