"""The chat page's files, and what its owner chose."""

import re
from pathlib import Path

import pytest

from agent_server.chat import branding
from agent_server.chat.branding import BLACK, GROUNDS, READABLE, Branding, contrast, read_branding
from agent_server.settings import SettingsError
from tests.agent import Agent


def test_the_page_has_the_owners_name_and_words(agent: Agent) -> None:
    page, branding = agent.http.get("/").text, read_branding()
    assert f"<title>{branding.shown['name']}</title>" in page
    assert branding.shown["greeting"] in page and "${" not in page
    manifest = agent.http.get("/static/manifest.webmanifest").json()
    assert manifest["name"] == branding.name


def test_what_the_owner_writes_is_text_not_markup() -> None:
    hostile = "<script>alert(1)</script>\"'"
    shown = Branding(name=hostile, greeting=hostile, prompts=[hostile], disclaimer=hostile).shown
    assert all("<script" not in text for text in shown.values())


@pytest.mark.parametrize("accent", ["#0d6b63", "#ffff00", "#ffffff", "#000000", "#808080"])
def test_the_accent_is_readable_in_both_themes(accent: str) -> None:
    colours = [
        (red, green, blue)
        for red, green, blue in (
            bytes.fromhex(c) for c in re.findall("#(.{6})", Branding(accent=accent).style)
        )
    ]
    for accent_colour, on, ground in zip(colours[:2], colours[2:], GROUNDS, strict=True):
        assert contrast(accent_colour, ground) >= READABLE
        assert contrast(accent_colour, on) >= READABLE


def test_contrast_is_that_of_wcag() -> None:
    assert round(contrast(BLACK, (255, 255, 255)), 2) == 21
    assert round(contrast((0x77, 0x77, 0x77), (255, 255, 255)), 2) == 4.48


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('accent = "teal"', "accent: .*teal"),
        ("colour = 1", "colour: "),
        ('language = "xx"', "language: 'xx' has no file .* de, en"),
        ('[texts]\nsnd = "Go"', "no word is called 'snd'"),
        ("name =", "page.toml: "),
        (f"prompts = {['?'] * 7}", "prompts: "),
    ],
)
def test_a_mistake_in_the_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, why: str
) -> None:
    monkeypatch.setattr(branding, "FILE", tmp_path / "page.toml")
    (tmp_path / "page.toml").write_text(text)
    with pytest.raises(SettingsError, match=why):
        read_branding()


def test_without_the_file_everything_has_a_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branding, "FILE", tmp_path / "page.toml")
    assert read_branding().shown["greeting"] == "How can I help?"


def test_every_language_has_the_same_words() -> None:
    english = Branding().words
    for path in branding.TEXTS.glob("*.json"):
        words = branding._texts(path.stem)
        assert words.keys() == english.keys()
        for name, text in words.items():
            assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", english[name])), name


def test_a_file_is_compressed_for_those_who_can_read_that(agent: Agent) -> None:
    path = "/static/chat.css"
    sizes = {}
    for coding in ("gzip", "identity"):
        with agent.http.stream("GET", path, headers={"Accept-Encoding": coding}) as answer:
            sizes[coding] = sum(map(len, answer.iter_raw()))
            assert answer.headers["vary"] == "Accept-Encoding"
            assert answer.headers.get("content-encoding", "identity") == coding
    assert sizes["gzip"] < sizes["identity"] / 3


def test_a_home_screen_gets_an_icon_in_the_owners_colour(agent: Agent) -> None:
    icon = agent.http.get("/static/touch-icon.png")
    assert icon.headers["content-type"] == "image/png"
    assert icon.content.startswith(b"\x89PNG") and icon.content[16:24] == b"\0\0\0\xb4" * 2


def test_a_file_that_has_not_changed_is_not_sent_again(agent: Agent) -> None:
    for path in ("/", "/static/app.js", "/static/texts.js"):
        tag = agent.http.get(path).headers["etag"]
        assert agent.http.get(path, headers={"If-None-Match": tag}).status_code == 304
        assert agent.http.get(path, headers={"If-None-Match": '"old"'}).status_code == 200


def test_a_stream_is_not_compressed(agent: Agent) -> None:
    headers = {**agent.headers, "Accept-Encoding": "gzip", "Accept": "text/event-stream"}
    answer = agent.http.post("/api/chat", json={"message": "hello"}, headers=headers)
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("path", ["../page.toml", "..%2fpage.toml", "nothing.js"])
def test_nothing_else_is_served(agent: Agent, path: str) -> None:
    assert agent.http.get(f"/static/{path}").status_code == 404
