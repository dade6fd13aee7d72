"""What `doctor` finds: the outcome of each check in one line, and how to fix it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """The outcome of one check; `command` fixes what is wrong."""

    check: str
    state: Literal["ok", "warning", "problem", "skipped"]
    text: str
    command: str = ""

    def __str__(self) -> str:
        indent = f"\n{'':22}"
        line = f"{self.state:8} {self.check:12} {self.text.replace(chr(10), indent)}"
        return f"{line}{indent}-> {self.command}" if self.command else line


def ok(check: str, text: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(check, "ok", text)


def warning(check: str, text: str, command: str) -> Finding:
    """Return a finding of something that works, or will, but that the owner should know."""
    return Finding(check, "warning", text, command)


def problem(check: str, text: str, command: str) -> Finding:
    """Return a finding of something that does not work until `command` is run."""
    return Finding(check, "problem", text, command)


def skipped(check: str, text: str) -> Finding:
    """Return a finding that nothing was checked, because of another finding."""
    return Finding(check, "skipped", text)
