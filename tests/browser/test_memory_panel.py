"""The panel of what the agent remembers."""

from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.visit import Visit


def remembering(visit: Open) -> Visit:
    here = visit()
    for fact in ("I like teal", "I live in Utrecht"):
        here.say(f"Remember that {fact}")
    here.button("What I remember about you").click()
    expect(here.dialog.get_by_role("listitem")).to_have_count(2)
    return here


def test_it_lists_what_the_agent_remembers(visit: Open) -> None:
    here = remembering(visit)
    for fact in ("I like teal", "I live in Utrecht"):
        expect(here.dialog.get_by_role("listitem").filter(has_text=fact)).to_have_count(1)


def test_one_memory_can_be_forgotten(visit: Open) -> None:
    here = remembering(visit)
    here.button("Forget “I like teal”").click()
    expect(here.dialog.get_by_role("listitem")).to_have_text(["I live in Utrecht"])
    here.button("Close").click()
    answer = here.say("What do you know about me?")
    expect(answer).to_contain_text("Utrecht")
    expect(answer).not_to_contain_text("teal")


def test_everything_is_forgotten_after_confirmation(visit: Open) -> None:
    here = remembering(visit)
    here.button("Forget all").click()
    here.dialog.get_by_role("button", name="Forget all").click()
    expect(here.dialog).to_contain_text("Nothing yet.")
    here.button("Close").click()
    expect(here.say("What do you know about me?")).to_contain_text("I know nothing about you yet.")
    expect(here.chats).to_have_count(1)


def test_nothing_is_forgotten_without_confirmation(visit: Open) -> None:
    here = remembering(visit)
    here.button("Forget all").click()
    here.dialog.get_by_role("button", name="Cancel").click()
    expect(here.dialog.get_by_role("listitem")).to_have_count(2)
