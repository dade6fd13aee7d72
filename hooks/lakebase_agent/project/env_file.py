"""A project's .env, and the example of one: which variables they set, and adding to them."""

import codecs
import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values

from lakebase_agent.errors import UsageError


def env_text(folder: Path) -> str | None:
    """Return the text of .env, None if there is no such file.

    It is UTF-8, or UTF-16 as PowerShell writes it. Raises UsageError if it is neither.
    """
    path = folder / ".env"
    if not path.is_file():
        return None
    data = path.read_bytes()
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UsageError(f"{path} is no text in UTF-8. Save it as UTF-8.")
    return text


def read_env(folder: Path) -> dict[str, str]:
    """Return the variables that .env sets; empty if there is no such file."""
    values = dotenv_values(stream=StringIO(env_text(folder) or ""))
    return {name: value or "" for name, value in values.items()}


def set_variables(text: str, variables: Mapping[str, str | None]) -> str:
    """Return the text of a .env with `variables` set; those that are None are removed."""
    lines = text.splitlines()
    for name, value in variables.items():
        lines = _set_variable(lines, name, value)
    return "".join(f"{line}\n" for line in lines)


def _set_variable(lines: list[str], name: str, value: str | None) -> list[str]:
    """Return the lines with one setting of `name`, in the place of the last one, or with none."""
    setting = re.compile(rf"\s*(export\s+)?{name}\s*=")
    places = [index for index, line in enumerate(lines) if setting.match(line)]
    changed = list(lines)
    if value is not None and not places:
        changed.append(f"{name}={value}")
    elif value is not None:
        changed[places.pop()] = f"{name}={value}"
    return [line for index, line in enumerate(changed) if index not in places]


def add_paragraphs(text: str, block: str) -> str:
    """Return the text of a .env or its example with the paragraphs of `block` that it lacks.

    It has a paragraph if it names one of its variables, set or commented out.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    for paragraph in block.strip("\n").split("\n\n"):
        names = re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", paragraph, re.MULTILINE)
        if any(_mentions(text, name) for name in names):
            continue
        end = "" if not text or text.endswith("\n") else newline
        gap = newline if text else ""
        text += end + gap + f"{paragraph}\n".replace("\n", newline)
    return text


def _mentions(text: str, name: str) -> bool:
    return bool(re.search(rf"^[#\s]*(export\s+)?{name}\s*=", text, re.MULTILINE))
