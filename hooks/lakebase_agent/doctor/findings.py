"""What `doctor` finds: one line each, with what mends it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """The outcome of one check."""

    check: str
    state: Literal["ok", "warning", "problem", "skipped"]
    text: str
    command: str = ""

    def __str__(self) -> str:
        line = f"{self.state:8} {self.check:12} {self.text}"
        return f"{line}\n{'':21} -> {self.command}" if self.command else line


def ok(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", text)


def warning(check: str, text: str, command: str) -> Finding:
    """It works, or will, but somebody should know."""
    return Finding(check, "warning", text, command)


def problem(check: str, text: str, command: str) -> Finding:
    """It does not work until `command` is run."""
    return Finding(check, "problem", text, command)


def skipped(check: str, text: str) -> Finding:
    """Not looked at, because of another finding."""
    return Finding(check, "skipped", text)
