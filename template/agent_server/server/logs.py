"""Logging: one line per record, with the request's id; JSON inside Databricks Apps."""

import logging
import os

from asgi_correlation_id import CorrelationIdFilter
from pythonjsonlogger.json import JsonFormatter

from agent_server.settings import SettingsError, in_databricks_app

FORMAT = "{asctime} {levelname} [{correlation_id}] {name}: {message}"


def configure_logs() -> None:
    """Log to standard error, at LOG_LEVEL; raises SettingsError for an unknown level."""
    handler = logging.StreamHandler()
    handler.addFilter(CorrelationIdFilter(default_value="-"))
    formatter = JsonFormatter if in_databricks_app() else logging.Formatter
    handler.setFormatter(formatter(FORMAT, style="{"))
    level = (os.environ.get("LOG_LEVEL") or "INFO").upper()
    if level not in logging.getLevelNamesMapping():
        raise SettingsError(f"LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not {level!r}.")
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # They log every call, and at DEBUG its content.
    for name in ("httpx", "httpx2", "openai", "databricks") if level != "DEBUG" else ():
        logging.getLogger(name).setLevel(logging.WARNING)
