"""Traces to MLflow, when an experiment is configured; never in the way of a turn."""

import importlib
import logging
import os
import time

from agent_server.settings import workspace_configured

log = logging.getLogger(__name__)

# An unreachable MLflow costs a background thread a few seconds a trace, not minutes.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    # Prices of models, which MLflow would download at the first turn.
    "MLFLOW_MODEL_CATALOG_URI": "",
}
SECONDS_BETWEEN_COMPLAINTS = 600


def start_tracing(flavor: str) -> None:
    """Trace every run to MLFLOW_EXPERIMENT_ID, if it is set; `flavor` names the MLflow module."""
    if not os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    if workspace_configured():
        os.environ.setdefault("MLFLOW_TRACKING_URI", "databricks")
    importlib.import_module(flavor).autolog()
    for handler in logging.getLogger().handlers:
        handler.addFilter(_Complaints())
    log.info("tracing to MLflow experiment %s", os.environ["MLFLOW_EXPERIMENT_ID"])


class _Complaints(logging.Filter):
    """Lets one complaint of MLflow through in ten minutes: it has one for every trace."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for a complaint that was heard."""
        if not record.name.startswith("mlflow") or record.levelno < logging.WARNING:
            return True
        heard = time.monotonic() < self._next
        if not heard:
            self._next = time.monotonic() + SECONDS_BETWEEN_COMPLAINTS
        return not heard
