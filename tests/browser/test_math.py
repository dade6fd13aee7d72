"""Formulas in an answer: what is one, what is not, and what hostile or endless ones can do."""

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.conftest import Open
from tests.browser.test_for_everybody import findings
from tests.browser.visit import Visit
from tests.standins.model import StandinModel

pytestmark = pytest.mark.parametrize("project", ["openai"], indirect=True)
PHONE = ViewportSize(width=390, height=780)
SHOWN = r"""So $e^{i\pi} + 1 = 0$, and \(a_1 * b_1 = c\) *or* $$x = \sqrt{2}$$

\[
\begin{aligned} f(x) &= \frac{1}{x} \\[2pt] g(x) &= \text{cost \$5} \end{aligned}
\]
"""
NONE = r"""Between $5 and $6, US$5 and US$6, **$5**/**$10**, $20,000 or 30,000$, or $5/$10.

Set $HOME and $PATH, or $HOME/$USER, in $ signs: $ y $. Write `$y$`, or \$y\$, or $\nothing{y}$.

```
$$y$$
```

The first is \(y_1 * z and

$$
\frac{y_1}{z_1} *z*

"""
HOSTILE = r"""
$\href{javascript:window.executed=1}{x}$ $\url{javascript:window.executed=1}$

$\includegraphics{https://evil.example/a.png}$ $$\includegraphics{https://evil.example/b.png}$$

$$x \tag{1} \label{message}$$ $\ref{message}$ $\class{skip}{x}$ $\id{live}{x}$

$\style{position: fixed}{x}$ $\pmb{x}$ $\color{red;position:fixed}{x}$

$\text{<img src=x onerror=window.executed=1>}$ $$<svg onload=window.executed=1>$$

$\toggle{a}{b}\endtoggle$ $\texttip{a}{b}$

$\def\a{\a\a}\a$ $\gdef\b#1{#1#1#1}\b{\b{\b{\b{\b{\b{\b{\b{x}}}}}}}}$

$$\frac{a}{b$$ \(\left( x\) \[ {{{{ \] $}$ $\end{matrix}$
"""
NESTED = ("{", "x", "}", 1900), (r"\frac{", "x", "}{y}", 300), (r"\sqrt{", "x", "}", 400)
ENDLESS = {
    "deep": "\n\n".join(f"$${a * times}{x}{b * times}$$" for a, x, b, times in NESTED),
    "long": "$$" + "x+" * 1900 + "x$$\n\n$$a_1 " + r"+ \frac{a}{b} " * 7500 + "$$",
    "many": "\n\n".join(rf"$$a_{{{n}}} = \sqrt{{{n}}}$$" for n in range(700)),
    "many in a paragraph": " ".join(f"$a_{{{n}}}$" for n in range(2000)),
    "open": r"\( a " * 4000 + "\n\n" + "$$a\n" * 4000 + "\n" + "$a " * 4000,
}
WATCH = """
    window.longest = 0;
    new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
    }).observe({ type: "longtask" });
"""


def requested(page: Page) -> list[str]:
    """Return what the page has loaded of what sets formulas."""
    names = "performance.getEntriesByType('resource').map(({ name }) => name.split('/').pop())"
    return [name for name in page.evaluate(names) if name in ("math.js", "math.css", "temml.js")]


def told(here: Visit, model: StandinModel, text: str) -> Visit:
    """Let the model say a text, piece by piece."""
    model.pieces = [text[start : start + 1000] for start in range(0, len(text), 1000)]
    here.say("hello")
    return here


def test_formulas_are_set(visit: Open, model: StandinModel) -> None:
    here = told(visit(), model, SHOWN)
    formulas = here.answers.locator("math")
    expect(formulas).to_have_count(4)
    expect(formulas.nth(3).locator("mfrac, mtr")).to_have_count(3)
    expect(here.answers.locator("em")).to_have_text("or")
    expect(here.answers).not_to_contain_text("\\")
    here.page.reload()
    expect(formulas).to_have_count(4)


def test_what_is_no_formula_or_only_half_of_one_stays_text(
    visit: Open, model: StandinModel
) -> None:
    here = told(visit(), model, f"{NONE}$x$")
    expect(here.answers.locator("math")).to_have_text("x")
    expect(here.answers.locator("em")).to_have_count(0)
    expect(here.answers).to_contain_text("{y_1}{z_1} *z*")


def test_without_a_formula_nothing_of_it_is_loaded(visit: Open, model: StandinModel) -> None:
    here = told(visit(), model, "It is $5, or $6 with *tax*.")
    expect(here.answers.locator("em")).to_have_text("tax")
    assert requested(here.page) == []
    told(here, model, "It is $x$.")
    expect(here.answers.last.locator("math")).to_have_count(1)
    assert sorted(requested(here.page)) == ["math.css", "math.js", "temml.js"]


def test_a_hostile_formula_runs_names_and_requests_nothing(
    visit: Open, model: StandinModel
) -> None:
    here = told(visit(), model, f"{HOSTILE}\nThe end: $x$")
    expect(here.answers.locator("math").last).to_have_text("x")
    found = here.answers.locator(".markdown").locator("a, img, svg, script, maction, [id], [href]")
    assert found.count() == 0
    assert here.page.evaluate("window.executed") is None


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_endless_formula_holds_nothing_up(visit: Open, model: StandinModel, kind: str) -> None:
    here = visit()
    here.page.evaluate(WATCH)
    told(here, model, f"{ENDLESS[kind]}\n\nThe end.")
    expect(here.answers).to_contain_text("The end.")
    assert here.page.evaluate("longest") < 2500  # on a busy machine; alone it takes an eighth


def test_what_covers_the_page_stays_in_its_place(visit: Open, model: StandinModel) -> None:
    here = told(visit(), model, r"$\raisebox{-40em}{\rule{99em}{99em}}$ $$\hspace{-900em}\Huge x$$")
    expect(here.answers.locator("math")).to_have_count(2)
    over = "([x, y]) => document.elementFromPoint(x, y).closest('math') === null"
    for place in ("#message", "#title", "#new"):
        box = here.page.locator(place).bounding_box() or pytest.fail(place)
        assert here.page.evaluate(over, [box["x"] + 5, box["y"] + 5])


def test_a_copy_has_what_was_written(visit: Open, model: StandinModel) -> None:
    here = told(visit(permissions=["clipboard-read", "clipboard-write"]), model, SHOWN)
    expect(here.answers.locator("math")).to_have_count(4)
    here.bar.get_by_role("button", name="Copy").click()
    expect(here.page.locator(".done")).to_be_visible()
    assert here.page.evaluate("navigator.clipboard.readText()") == SHOWN


def test_formulas_are_for_everybody(visit: Open, model: StandinModel) -> None:
    long = "$" + "a + " * 60 + "b$\n\n$$" + "a + " * 60 + "b$$"
    here = told(visit(viewport=PHONE, reduced_motion="reduce"), model, f"{SHOWN}\n{long}")
    expect(here.answers.locator("math")).to_have_count(6)
    assert findings(here.page) == []
    assert here.page.evaluate("document.querySelector('main').scrollWidth") <= PHONE["width"]
