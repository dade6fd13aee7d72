"""The files of the chat page: what they weigh, where they come from, what they must not do."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.support.places import PAGE, in_template
from tests.support.rendering import REPOSITORY

STATIC = in_template(PAGE, REPOSITORY)
VENDORED = {"marked.js", "dompurify.js", "temml.js"}
OWN = sorted(path for path in STATIC.iterdir() if path.is_file())


def test_the_pages_own_files_are_short() -> None:
    assert all(len(path.read_text("utf-8").splitlines()) <= 150 for path in STATIC.glob("*.js"))


def test_vendored_code_is_what_was_published() -> None:
    text = (STATIC / "vendor" / "VENDORED.txt").read_text("utf-8")
    said = dict(
        re.findall(r"^(\S+\.js)\n(?:  .*\n)*?  sha256   ([0-9a-f]{64})$", text, re.MULTILINE)
    )
    found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in STATIC.glob("vendor/*.js")}
    assert said == found
    assert set(found) == VENDORED


@pytest.mark.parametrize(
    ("name", "licence"), [("marked", "MIT"), ("dompurify", "Apache-2.0"), ("temml", "MIT")]
)
def test_vendored_code_comes_with_its_version_and_licence(name: str, licence: str) -> None:
    text = (STATIC / "vendor" / "VENDORED.txt").read_text("utf-8")
    version = re.search(rf"package  {name} (\d+\.\d+\.\d+),.*\n  licence  (\S+?)[,\s]", text)
    assert version and version[2] == licence
    assert re.search(rf"[ v\"]{re.escape(version[1])}[ \"\n]", _code(name))


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_a_file_of_the_page_names_no_other_site(path: Path) -> None:
    assert set(re.findall(r"https?://[\w.]+", path.read_text("utf-8"))) <= {"http://www.w3.org"}


@pytest.mark.parametrize("path", sorted(STATIC.glob("*.js")), ids=lambda path: path.name)
def test_text_becomes_markup_only_through_the_sanitiser(path: Path) -> None:
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|parseFromString|setHTML"
    code = path.read_text("utf-8")
    assert not re.search(rf"{sinks}|createContextualFragment|\beval\(|new Function", code)
    assert ("sanitize(" in code) == (path.name == "markdown.js")


def test_the_shell_has_no_inline_script_or_style() -> None:
    html = (STATIC / "index.html").read_text("utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html)


def test_every_word_of_the_page_is_one_of_its_texts() -> None:
    known = json.loads((STATIC / "texts" / "en.json").read_text("utf-8"))
    code = "\n".join(path.read_text("utf-8") for path in STATIC.glob("*.js"))
    used = {*re.findall(r"\bt\(\"(\w+)\"", code)}
    in_shell = re.findall(r"\$\{(\w+)\}", (STATIC / "index.html").read_text("utf-8"))
    assert used - known.keys() == set()
    assert set(in_shell) - known.keys() == {"disclaimer", "language", "name", "preloads", "prompts"}


def test_no_text_of_the_page_is_left_over() -> None:
    known = json.loads((STATIC / "texts" / "en.json").read_text("utf-8"))
    own = "\n".join(path.read_text("utf-8") for path in OWN)
    assert [name for name in known if not re.search(rf"\b{name}\b", own)] == []


def test_the_readmes_pictures_are_there_and_light() -> None:
    named = set(re.findall(r"docs/(\w+)\.png", (REPOSITORY / "README.md").read_text("utf-8")))
    sizes = {path.stem: path.stat().st_size for path in (REPOSITORY / "docs").glob("*.png")}
    assert named == sizes.keys()
    assert max(sizes.values()) <= 150_000 and sum(sizes.values()) <= 600_000


def _code(name: str) -> str:
    return (STATIC / "vendor" / f"{name}.js").read_text("utf-8")
