"""Long-term memory is off: `copier update --trust -d memory=...` adds it."""

from agents import Tool


def memory_tools() -> list[Tool]:
    """Return the tools of long-term memory: none here."""
    return []
