"""Logs: a line each, with the id of the request it belongs to; JSON inside Databricks Apps."""

import json
import logging
import os
from contextvars import ContextVar

from agent_server.settings import SettingsError, in_databricks_app

request_id: ContextVar[str] = ContextVar("request_id", default="-")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# Below DEBUG these say one line for every call, without adding anything to ours.
QUIET = ("httpx", "httpx2", "openai", "databricks.sdk", "mlflow", "psycopg.pool")


def configure_logs() -> None:
    """Send every log to standard error, at LOG_LEVEL; SettingsError for an unknown level."""
    level = os.environ.get("LOG_LEVEL", "INFO").upper()
    if level not in LEVELS:
        raise SettingsError(f"LOG_LEVEL must be one of {', '.join(LEVELS)}, not {level!r}.")
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines() if in_databricks_app() else _Lines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in QUIET if level != "DEBUG" else ():
        logging.getLogger(name).setLevel(logging.WARNING)


class _Lines(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} [{request_id}] {name}: {message}", style="{")

    def format(self, record: logging.LogRecord) -> str:
        record.request_id = request_id.get()
        return super().format(record)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "request_id": request_id.get(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)
