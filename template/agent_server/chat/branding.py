"""The page as its owner wants it: name, colour, words, as `page.toml` says."""

import json
import tomllib
from html import escape
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent_server.settings import PYPROJECT, SettingsError

HERE = Path(__file__).parent
FILE = HERE.parent / "page.toml"
TEXTS = HERE / "page" / "texts"
READABLE = 4.5  # the least contrast of text (WCAG 2, AA)
# What coloured text stands on at worst, in the light theme and in the dark one (see chat.css).
GROUNDS = ((0xE6, 0xE4, 0xDD), (0x33, 0x32, 0x30))
BLACK, WHITE = (0, 0, 0), (255, 255, 255)

Colour = tuple[int, int, int]
Line = Annotated[str, Field(max_length=300)]


class Branding(BaseModel):
    """What `page.toml` says; what it leaves out has a default."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=60)] = PYPROJECT["project"]["name"]
    accent: Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$")] = "#0d6b63"
    language: Annotated[str, Field(pattern="^[a-z]{2,3}(-[A-Z]{2})?$")] = "en"
    greeting: Line = ""
    introduction: Line = ""
    prompts: Annotated[list[Line], Field(max_length=6)] = []
    disclaimer: Line = ""
    texts: dict[str, Line] = {}

    @property
    def words(self) -> dict[str, str]:
        """All words of the page by name, in its language; what a language lacks is English."""
        return {**_texts("en"), **_texts(self.language), **self.texts}

    @property
    def shown(self) -> dict[str, str]:
        """What index.html has places for, as HTML."""
        words = {**self.words, "name": self.name, "language": self.language}
        own = {"greeting": self.greeting, "introduction": self.introduction}
        words |= {name: text for name, text in own.items() if text}
        prompts = "".join(
            f'<li><button class="prompt">{escape(p)}</button></li>' for p in self.prompts
        )
        places = {name: escape(text) for name, text in words.items()}
        return {**places, "disclaimer": escape(self.disclaimer), "prompts": prompts}

    @property
    def style(self) -> str:
        """The style sheet with the accent, and a colour that is readable on it, in both themes."""
        accents = [_readable(_colour(self.accent), ground) for ground in GROUNDS]
        on = [max((WHITE, BLACK), key=lambda text: contrast(text, accent)) for accent in accents]
        light_dark = ["light-dark({}, {})".format(*map(_hex, pair)) for pair in (accents, on)]
        return f":root {{--accent: {light_dark[0]}; --on-accent: {light_dark[1]};}}\n"

    @property
    def manifest(self) -> str:
        """The web app manifest, for those who put the page on their home screen."""
        icon = {"src": "logo.svg", "sizes": "any", "type": "image/svg+xml"}
        name = {"name": self.name, "short_name": self.name, "lang": self.language}
        how = {"start_url": "..", "display": "standalone", "theme_color": self.accent}
        return json.dumps({**name, **how, "icons": [icon]})


def read_branding() -> Branding:
    """Return what `page.toml` says, or the defaults without one; raises SettingsError."""
    try:
        branding = Branding(**tomllib.loads(FILE.read_text("utf-8")) if FILE.exists() else {})
    except (ValueError, ValidationError) as error:
        raise SettingsError(f"agent_server/page.toml: {_why(error)}") from error
    if not (TEXTS / f"{branding.language}.json").exists():
        known = ", ".join(sorted(path.stem for path in TEXTS.glob("*.json")))
        text = f"language: {branding.language!r} has no file in chat/page/texts; there are {known}."
        raise SettingsError(f"agent_server/page.toml: {text}")
    if unknown := branding.texts.keys() - _texts("en").keys():
        raise SettingsError(f"agent_server/page.toml: texts: no word is called {min(unknown)!r}.")
    return branding


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast of two colours, from 1 to 21 (WCAG 2)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _texts(language: str) -> dict[str, str]:
    return dict(json.loads((TEXTS / f"{language}.json").read_text("utf-8")))


def _why(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    shown: Any = first["input"]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}, not {shown!r}."


def _readable(colour: Colour, ground: Colour) -> Colour:
    """Return the colour, mixed with black or white as far as it must be to be read on `ground`."""
    away = max((WHITE, BLACK), key=lambda end: contrast(end, ground))
    mixes = (_mix(colour, away, step / 20) for step in range(21))
    return next(mix for mix in mixes if contrast(mix, ground) >= READABLE)


def _mix(colour: Colour, other: Colour, part: float) -> Colour:
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _luminance(colour: Colour) -> float:
    shares = [part / 255 for part in colour]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _colour(text: str) -> Colour:
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def _hex(colour: Colour) -> str:
    return f"#{bytes(colour).hex()}"
