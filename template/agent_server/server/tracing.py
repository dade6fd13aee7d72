"""Traces to MLflow, if an experiment is configured; tracing never delays or fails a turn."""

import asyncio
import importlib
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from agent_server.settings import limit

log = logging.getLogger(__name__)
# An unreachable MLflow costs a background thread a few seconds per trace, not minutes. The catalog
# of model prices would otherwise be downloaded during the first turn.
MLFLOW_DEFAULTS = {
    "MLFLOW_TRACKING_URI": "databricks",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_MODEL_CATALOG_URI": "",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",  # so that its lines look like the others
}


@asynccontextmanager
async def open_tracing(flavor: str) -> AsyncIterator[None]:
    """Trace what runs in the body; at its end, take up to FLUSH_SECONDS to send what is left.

    MLflow itself would do so when Python exits, but not when a signal ends uvicorn.
    """
    await asyncio.to_thread(start_tracing, flavor)
    try:
        yield
    finally:
        if os.environ.get("MLFLOW_EXPERIMENT_ID"):
            from mlflow import flush_trace_async_logging as flush

            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.to_thread(flush), limit("FLUSH_SECONDS"))


def start_tracing(flavor: str) -> None:
    """Trace every run to MLFLOW_EXPERIMENT_ID, if it is set; `flavor` names the MLflow module."""
    experiment = os.environ.get("MLFLOW_EXPERIMENT_ID")
    exporter = logging.getLogger("mlflow.tracing.export.mlflow_v3")
    if not experiment or _say_once in exporter.filters:  # MLflow traces the process already
        return
    exporter.addFilter(_say_once)
    logging.getLogger("mlflow.utils.databricks_utils").addFilter(_say_once)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    os.environ.update({**MLFLOW_DEFAULTS, **os.environ})
    from mlflow import MlflowException, entities, tracing

    try:
        # Otherwise MLflow looks up the experiment in every turn, and blocks the event loop.
        tracing.set_destination(entities.MlflowExperimentLocation(experiment))
    except (MlflowException, ImportError) as error:
        return log.warning("not tracing, because of MLFLOW_TRACKING_URI: %s", error)
    importlib.import_module(flavor).autolog()
    log.info("tracing to MLflow experiment %s", experiment)


def _say_once(record: logging.LogRecord) -> bool:
    # Otherwise MLflow would log every trace that it can't send.
    logging.getLogger(record.name).setLevel(logging.CRITICAL)
    return True
