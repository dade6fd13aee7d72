"""Images and files of a chat that another client sent, as the page shows them."""

import base64
import struct
import zlib
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.visit import Visit
from tests.standins.model import StandinModel
from tests.support.project import Server


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _data(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


HEAD = _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
PIXEL = HEAD + _chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")) + _chunk(b"IEND", b"")
IMAGE = ("image/png", _data("image/png", b"\x89PNG\r\n\x1a\n" + PIXEL), "cat.png")
SCRIPT = b"<svg xmlns='http://www.w3.org/2000/svg' onload='window.executed=1'/>"
HOSTILE = [
    ("application/pdf", _data("image/svg+xml", SCRIPT), "<img src=x onerror=window.executed=1>"),
    ("text/html", _data("text/html", b"<script>window.executed=1</script>"), "page.html"),
    ("image/png", "https://evil.example/seen.png", ""),
]


def ask(server: Server, user: str, *files: tuple[str, str, str], text: str = "") -> None:
    """Ask about files in a new chat, as a client with the AI SDK does."""
    parts: list[dict[str, Any]] = [
        {"type": "file", "mediaType": kind, "url": url, "filename": name}
        for kind, url, name in files
    ]
    parts += [{"type": "text", "text": text}]
    body = {"chatId": str(uuid4()), "messages": [{"role": "user", "parts": parts}]}
    headers = {"X-Forwarded-User": user, "Accept": "text/event-stream"}
    server.http.post("/api/chat", json=body, headers=headers)


@pytest.fixture
def opened(visit: Open) -> Visit:
    """Return the page of a user, who has no chat yet."""
    return visit()


def open_chat(here: Visit) -> None:
    """Show the only chat."""
    here.page.reload()
    here.chats.first.click()


def test_an_image_is_shown_with_its_name(server: Server, opened: Visit, user: str) -> None:
    ask(server, user, IMAGE, text="What is this?")
    open_chat(opened)
    image = opened.messages.get_by_role("img", name="cat.png")
    expect(image).to_be_visible()
    assert image.evaluate("(image) => image.naturalWidth") == 1
    expect(opened.messages.locator(".bubble").first).to_have_text("What is this?")


def test_what_is_no_picture_is_a_name_and_nothing_is_run_or_loaded(
    server: Server, opened: Visit, user: str
) -> None:
    ask(server, user, *HOSTILE, text="Look")
    open_chat(opened)
    expect(opened.messages.locator(".file")).to_have_text(
        [HOSTILE[0][2], "page.html", "https://evil.example/seen.png"]
    )
    assert opened.messages.locator("img, svg, iframe, object, embed").count() == 0
    assert not opened.page.evaluate("window.executed")


def test_a_question_with_an_image_is_asked_again_with_it(
    server: Server, opened: Visit, user: str, model: StandinModel
) -> None:
    model.status = 500
    ask(server, user, IMAGE)
    model.status = 200
    open_chat(opened)
    model.requests.clear()
    opened.button("Retry").click()
    expect(opened.answers).to_have_count(1)
    assert IMAGE[1].encode() in model.requests[-1]
    expect(opened.messages.get_by_role("img", name="cat.png")).to_have_count(1)
