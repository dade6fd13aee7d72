"""A user's visit to the chat page: what one does there, and what the browser noticed."""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, Route, expect

from tests.support.project import Server

FINISHED = 20_000  # milliseconds until an answer is complete


@dataclass
class Visit:
    """A page of one user, and everything on it that should not have happened."""

    page: Page
    user: str
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        self.page.context.on("request", self._on_request)
        self.page.context.on("page", lambda page: self.problems.append(f"window: {page.url}"))

    def allow(self, words: str) -> None:
        """Drop what Chromium itself logged so far of a failure that the test caused."""
        expected = f"Failed to load resource: .*{re.escape(words)}"
        assert any(re.search(expected, problem) for problem in self.problems), self.problems
        self.problems[:] = [p for p in self.problems if not re.search(expected, p)]

    @property
    def box(self) -> Locator:
        """Where one writes."""
        return self.page.get_by_role("textbox", name="Message")

    @property
    def messages(self) -> Locator:
        """The conversation."""
        return self.page.get_by_role("region", name="Messages")

    @property
    def answers(self) -> Locator:
        """What the agent said, the oldest first."""
        return self.messages.locator(".assistant")

    @property
    def chats(self) -> Locator:
        """The list of conversations."""
        return self.page.get_by_role("navigation").get_by_role("link")

    @property
    def bar(self) -> Locator:
        """The buttons below the last answer."""
        return self.answers.last.get_by_role("toolbar")

    @property
    def dialog(self) -> Locator:
        """The dialog that is open."""
        return self.page.get_by_role("dialog").last

    def button(self, name: str) -> Locator:
        """Return the button whose name begins so."""
        return self.page.get_by_role("button", name=re.compile(f"^{re.escape(name)}"))

    def start(self, message: str) -> None:
        """Send a message."""
        self.box.fill(message)
        self.box.press("Enter")

    def say(self, message: str) -> Locator:
        """Send a message and return the answer, when it is complete."""
        before = self.answers.count()
        self.start(message)
        expect(self.answers).to_have_count(before + 1, timeout=FINISHED)
        self.until_idle()
        return self.answers.last

    def until_idle(self) -> None:
        """Return when nothing is being answered."""
        send = self.page.get_by_role("button", name="Send", exact=True)
        expect(send).to_be_visible(timeout=FINISHED)

    def reload_when_idle(self) -> None:
        """Wait until nothing is being answered, and load the page again."""
        self.until_idle()
        self.page.reload()

    def until_stored(self, messages: int) -> None:
        """Return when the server keeps so many messages of the conversation."""
        chat = self.page.url.rpartition("chat=")[2]
        stored = f"fetch('api/chats/{chat}/messages').then((response) => response.json())"
        self.page.wait_for_function(f"{stored}.then((list) => list.length === {messages})")

    def take(self, name: str) -> None:
        """Take a picture of the page for the README, if pictures are asked for."""
        if folder := os.environ.get("CHAT_SCREENSHOTS"):
            path = Path(folder) / f"{name}.png"
            self.page.wait_for_timeout(300)  # until what has just come is at rest
            self.page.screenshot(path=path, animations="disabled", caret="hide")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text}")

    def _on_request(self, request: Request) -> None:
        if urlsplit(request.url).hostname != "127.0.0.1" and not request.url.startswith("data:"):
            self.problems.append(f"off-site request: {request.url}")


def later(seconds: float) -> Callable[[Route], None]:
    """Return what lets a request go on so much later."""

    def go_on(route: Route) -> None:
        time.sleep(seconds)
        route.continue_()

    return go_on


def open_page(browser: Browser, server: Server, **options: Any) -> Visit:
    """Open the page of a server of the test's own."""
    context = browser.new_context(base_url=str(server.http.base_url), **options)
    here = Visit(context.new_page(), "ada")
    here.page.goto("/")
    return here
