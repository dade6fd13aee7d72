"""Traces to MLflow, when an experiment is configured; never in the way of a turn."""

import asyncio
import importlib
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache

from agent_server.settings import limit

log = logging.getLogger(__name__)
# An unreachable MLflow costs a background thread a few seconds a trace, not minutes. The catalog
# has the prices of models, which would be downloaded at the first turn.
MLFLOW_DEFAULTS = {
    "MLFLOW_TRACKING_URI": "databricks",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_MODEL_CATALOG_URI": "",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",  # so that its lines look like all others
}


@asynccontextmanager
async def open_tracing(flavor: str) -> AsyncIterator[None]:
    """Trace what runs in the body; at its end, take FLUSH_SECONDS to send what is left.

    MLflow itself does so when Python exits, which uvicorn prevents when it ends by a signal.
    """
    await asyncio.to_thread(start_tracing, flavor)
    try:
        yield
    finally:
        if os.environ.get("MLFLOW_EXPERIMENT_ID"):
            from mlflow import flush_trace_async_logging as flush

            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.to_thread(flush), limit("FLUSH_SECONDS"))


@cache
def start_tracing(flavor: str) -> None:
    """Trace every run to MLFLOW_EXPERIMENT_ID, if it is set; `flavor` names the MLflow module."""
    if experiment := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        os.environ.update({**MLFLOW_DEFAULTS, **os.environ})
        from mlflow import MlflowException, entities, tracing

        try:
            # Else MLflow looks the experiment up in every turn, and the event loop waits for it.
            tracing.set_destination(entities.MlflowExperimentLocation(experiment))
        except (MlflowException, ImportError) as error:
            return log.warning("not tracing, because of MLFLOW_TRACKING_URI: %s", error)
        importlib.import_module(flavor).autolog()
        for name in ("tracing.export.mlflow_v3", "utils.databricks_utils"):
            logging.getLogger(f"mlflow.{name}").addFilter(_say_once)
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        log.info("tracing to MLflow experiment %s", experiment)


def _say_once(record: logging.LogRecord) -> bool:
    # While MLflow is away, it would say so for every trace.
    logging.getLogger(record.name).setLevel(logging.CRITICAL)
    return True
