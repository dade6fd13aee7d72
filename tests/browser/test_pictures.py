"""The README's pictures of the page, with what they show. `poe screenshots` keeps them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import ViewportSize, expect

from tests.browser.conftest import Open
from tests.standins.answers import Answer
from tests.standins.model import StandinModel
from tests.support.project import Project

pytestmark = pytest.mark.parametrize("project", ["openai"], indirect=True)
WIDE, PHONE = ViewportSize(width=1000, height=640), ViewportSize(width=390, height=720)
ADA = "ada@example.com"
OWN = """
name = "Travel Desk"
accent = "#6d3fc4"
greeting = "Where to next?"
introduction = "Trains, hotels and expenses, by the rules of your team."
prompts = ["Book a train", "What may a hotel cost?", "File my expenses"]
disclaimer = "Answers may be wrong. Your team's travel policy decides."
"""
LOGO = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="9" fill="#6d3fc4"/>
<path d="M16 6l8 18-8-4-8 4z" fill="#fff"/></svg>"""
SCIENCE = r"""The **standard error** shrinks with the root of the sample's size:

$$
\operatorname{SE} = \frac{s}{\sqrt{n}}, \qquad
s^2 = \frac{1}{n - 1} \; \sum_{i=1}^{n} \, (x_i - \bar{x})^2
$$

```python
from statistics import stdev

def standard_error(sample: list[float]) -> float:
    return stdev(sample) / len(sample) ** 0.5  # for independent values
```
"""
TABLE = """These fit your afternoon:

| Leaves | Arrives | Price |
|-|-|-:|
| 14:05 | 16:51 | $49 |
| 15:05 | 17:51 | $39 |
| 16:35 | 19:20 | $29 |

The **15:05** is the quietest of them, and within your rate.
"""
SOURCES = {
    "Travel policy, section 4": "https://example.com/policy/4",
    "Hotel rates by city": "https://example.com/rates",
}
CITED = """Up to **$180** a night, breakfast included. In cities with a rate of their own, such as \
Zurich, that rate counts instead."""


@pytest.fixture
def branded(project: Project) -> Iterator[None]:
    """Let the page be branded."""
    files = [project.folder / "agent_server" / name for name in ("page.toml", "logo.svg")]
    before = [path.read_text() for path in files]
    for path, text in zip(files, (OWN, LOGO), strict=True):
        path.write_text(text)
    yield
    for path, text in zip(files, before, strict=True):
        path.write_text(text)


def test_branded(visit: Open, branded: None) -> None:
    here = visit(who=ADA, viewport=WIDE)
    expect(here.page.get_by_role("heading", name="Where to next?")).to_be_visible()
    here.take("branded")


def test_dark(visit: Open, model: StandinModel) -> None:
    here = visit(who=ADA, viewport=WIDE, color_scheme="dark")
    model.pieces = [SCIENCE]
    here.say("How sure is a mean?")
    expect(here.answers.locator("math")).to_be_visible()
    here.take("dark")


def test_phone(visit: Open, model: StandinModel, branded: None) -> None:
    here = visit(who=ADA, viewport=PHONE, device_scale_factor=2, has_touch=True, is_mobile=True)
    model.pieces = [TABLE]
    here.say("Which trains are there to Hamburg today?")
    expect(here.answers.get_by_role("table")).to_be_visible()
    here.take("phone")


def test_sources(visit: Open, model: StandinModel, branded: None) -> None:
    here = visit(who=ADA, viewport=WIDE)
    cited = [
        {"type": "url_citation", "url_citation": {"url": url, "title": title}}
        for title, url in SOURCES.items()
    ]
    model.script = [Answer(CITED, fields={"annotations": cited})]
    here.say("What may a hotel cost?")
    expect(here.answers.get_by_role("list", name="Sources").get_by_role("link")).to_have_count(2)
    here.take("sources")
