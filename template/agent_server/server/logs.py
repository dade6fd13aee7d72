"""Logging: one line per record, with the request's id; JSON inside Databricks Apps."""

import logging
import os
from typing import Any

from asgi_correlation_id import CorrelationIdFilter
from pythonjsonlogger.json import JsonFormatter

from agent_server.settings import SettingsError, in_databricks_app

FORMAT = "{asctime} {levelname} [{correlation_id}] {name}: {message}"


class LineFormatter(logging.Formatter):
    """One line per record, and an indented one for each line of a traceback.

    Nothing that a request, a model or an error says can pass for another record or steer a
    terminal: what does not print is escaped. JSON escapes it anyway.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the first line of a record."""
        return _escape(super().formatMessage(record).rstrip("\n"))

    def formatException(self, ei: Any) -> str:
        """Return the lines of a traceback."""
        return _indent(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:
        """Return the lines of a stack."""
        return _indent(super().formatStack(stack_info))


def configure_logs() -> None:
    """Log to standard error, at LOG_LEVEL; raises SettingsError for an unknown level."""
    handler = logging.StreamHandler()
    handler.addFilter(CorrelationIdFilter(default_value="-"))
    formatter = JsonFormatter if in_databricks_app() else LineFormatter
    handler.setFormatter(formatter(FORMAT, style="{"))
    level = (os.environ.get("LOG_LEVEL") or "INFO").upper()
    if level not in logging.getLevelNamesMapping():
        raise SettingsError(f"LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not {level!r}.")
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # They log every call, and at DEBUG its content.
    for name in ("httpx", "httpx2", "openai", "databricks") if level != "DEBUG" else ():
        logging.getLogger(name).setLevel(logging.WARNING)


def _indent(lines: str) -> str:
    return "\n".join(f"  {_escape(line)}" for line in lines.split("\n"))


def _escape(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
