"""How a model's text is shown: languages, code, tables, footnotes, sources; and how fast."""

import time

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Open
from tests.browser.visit import Visit, later
from tests.standins.answers import cited
from tests.standins.model import StandinModel

pytestmark = pytest.mark.parametrize("project", ["openai"], indirect=True)
WATCH = """
    window.frames_ = []; window.longest = 0;
    const tick = (now) => { frames_.push(now); requestAnimationFrame(tick); };
    requestAnimationFrame(tick);
    new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
    }).observe({ type: "longtask" });
"""


def told(
    visit: Open, model: StandinModel, *pieces: str, **options: object
) -> tuple[Visit, Locator]:
    """Return the page, and an answer with this text."""
    model.pieces = pieces
    here = visit(**options)
    return here, here.say("hello")


def test_what_shows_markdown_may_come_late_and_is_waited_for(
    visit: Open, model: StandinModel
) -> None:
    here, _ = told(visit, model, "**Hello** there")
    expect(here.answers.locator("strong")).to_have_text("Hello")
    here.page.route("**/markdown.js", later(1))
    shown = "[...document.querySelectorAll('.assistant')].map((each) => each.textContent)"
    note = f"window.shown = []; new MutationObserver(() => shown.push(...{shown})).observe("
    here.page.add_init_script(f"{note}document, {{ childList: true, subtree: true }});")
    here.page.reload()
    expect(here.answers.locator("strong")).to_have_text("Hello")
    assert not any("**" in text for text in here.page.evaluate("shown"))


def test_what_shows_markdown_is_loaded_again_if_it_did_not_come(
    visit: Open, model: StandinModel
) -> None:
    here = visit()
    here.page.route("**/markdown.js", lambda route: route.abort())
    here.start("hello")
    expect(here.messages).to_contain_text("The server cannot be reached.")
    here.page.unroute("**/markdown.js")
    here.button("Retry").click()
    expect(here.answers).to_have_count(1)
    expect(here.messages.locator(".user")).to_have_count(1)
    here.allow("net::ERR_FAILED")


def test_right_to_left_text_runs_so_and_the_rest_does_not(visit: Open, model: StandinModel) -> None:
    here, answer = told(visit, model, "שלום עולם\n\nHello world\n\n- مرحبا")
    directions = answer.locator("p, li").evaluate_all(
        "(all) => all.map((each) => getComputedStyle(each).direction)"
    )
    assert directions == ["rtl", "ltr", "rtl"]
    bubble = here.say("שלום").page.locator(".bubble").last
    assert bubble.evaluate("(each) => getComputedStyle(each).direction") == "rtl"


def test_emphasis_works_beside_letters_that_no_space_divides(
    visit: Open, model: StandinModel
) -> None:
    _, answer = told(visit, model, "这是**“重点”**的意思。**注意\uff1a**请看 **bold** text")
    expect(answer.locator("strong")).to_have_text(["“重点”", "注意\uff1a", "bold"])
    expect(answer).not_to_contain_text("**")


def test_code_names_its_language_and_keeps_its_text(visit: Open, model: StandinModel) -> None:
    code = '# a comment\ndef f(x):\n    return "<b>" + x\n'
    here, answer = told(visit, model, f"```python\n{code}```\n")
    expect(answer.locator(".head")).to_contain_text("python")
    expect(answer.locator("pre")).to_have_text(code, use_inner_text=True)
    here.page.wait_for_function("CSS.highlights.get('word')?.size === 2")
    assert answer.locator("pre b, pre span").count() == 0


def test_a_table_is_copied_as_csv_without_formulas(visit: Open, model: StandinModel) -> None:
    rows = '| a | b |\n|-|-|\n| x, y | =1+1 |\n| "q" | -5 |\n'
    allowed = ["clipboard-read", "clipboard-write"]
    here, answer = told(visit, model, rows, permissions=allowed)
    answer.get_by_role("button", name="Copy as CSV").click()
    here.page.get_by_role("button", name="Copied").wait_for()
    copied = here.page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines() == ["a,b", '"x, y",\'=1+1', '"""q""",-5']


def test_footnotes_are_numbers_and_notes(visit: Open, model: StandinModel) -> None:
    _, answer = told(visit, model, "True.[^1] More.[^b]\n\n[^1]: A *note*.\n[^b]: Another.\n")
    expect(answer.locator("sup")).to_have_text(["1", "b", "1", "b"])
    expect(answer.locator("em")).to_have_text("note")
    expect(answer).not_to_contain_text("[^")


@pytest.mark.parametrize(
    "text",
    [
        "**“<img src=x onerror=window.executed=1>”**的",
        "[^<svg onload=window.executed=1>] and\n\n[^<b>]: <img src=x onerror=window.executed=1>",
        "```<img/onerror=window.executed=1>\ncode\n```",
        "| <img src=x onerror=window.executed=1> |\n|-|\n| <script>window.executed=1</script> |",
    ],
)
def test_hostile_text_in_any_of_these_stays_text(
    visit: Open, model: StandinModel, text: str
) -> None:
    here, answer = told(visit, model, f"{text}\n\nThe end.")
    expect(answer).to_contain_text("The end.")
    assert answer.locator("img, svg, script, b").count() == 0
    assert here.page.evaluate("window.executed") is None


def test_sources_are_there_after_a_reload(visit: Open, model: StandinModel) -> None:
    here = visit()
    model.script = [cited("As the docs say.", "https://example.com/a", "The docs")]
    here.say("hello")
    here.page.reload()
    link = here.answers.get_by_role("list", name="Sources").get_by_role("link", name="The docs")
    expect(link).to_have_attribute("href", "https://example.com/a")


def test_a_selection_in_a_growing_answer_stays(visit: Open, slow_words: None) -> None:
    here = visit()
    here.start("/repeat 60")
    expect(here.answers).to_contain_text("word9")
    here.page.evaluate("getSelection().selectAllChildren(document.querySelector('.assistant p'))")
    before = here.page.evaluate("getSelection().toString()")
    here.until_idle()
    assert before in here.page.evaluate("getSelection().toString()")
    here.page.evaluate("getSelection().removeAllRanges()")
    expect(here.answers).to_contain_text("word60")


def test_a_streamed_table_of_300_rows_holds_nothing_up(visit: Open, model: StandinModel) -> None:
    head = "| a | b | c |\n|-|-|-|\n"
    here = visit()
    here.page.evaluate(WATCH)
    model.pieces = [head, *(f"| {n} | **{n}** | `{n}` |\n" for n in range(300))]
    answer = here.say("hello")
    expect(answer.locator("tbody tr")).to_have_count(300)
    print("longest task:", here.page.evaluate("longest"))
    assert here.page.evaluate("longest") < 250  # on a busy machine; alone it takes a fifth


def test_frames_keep_coming_through_a_long_answer(visit: Open, model: StandinModel) -> None:
    here = visit()
    here.page.evaluate(WATCH)
    model.pieces = [f"Some *words* of paragraph {n}. " * 4 + "\n\n" for n in range(400)]
    begun = time.monotonic()
    here.say("hello")
    took = here.page.evaluate(
        "frames_.slice(1).map((now, i) => now - frames_[i]).sort((a, b) => a - b)"
    )
    late = took[int(len(took) * 0.95)]
    print(f"{len(took)} frames in {time.monotonic() - begun:.1f} s, 95 %: {late:.0f} ms")
    assert late < 150  # on a busy machine
