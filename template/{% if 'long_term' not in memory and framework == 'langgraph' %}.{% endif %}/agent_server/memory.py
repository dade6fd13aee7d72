"""Long-term memory is off: `copier update --trust -d memory=...` adds it."""

from langchain_core.tools import BaseTool


def memory_tools() -> list[BaseTool]:
    """Return the tools of long-term memory: none here."""
    return []
