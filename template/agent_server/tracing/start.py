"""Traces to MLflow, if an experiment is configured; tracing never delays or fails a turn."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from agent_server.responses.task import RunTurn
from agent_server.settings import limit
from agent_server.tracing.spans import traced

log = logging.getLogger(__name__)

EXPORTER = "mlflow.tracing.export.mlflow_v3"
# A trace waits for an unreachable MLflow in a background thread, for a quarter of a minute, not for
# minutes. The catalog of model prices would otherwise be downloaded during the first turn.
MLFLOW_DEFAULTS = {
    "MLFLOW_TRACKING_URI": "databricks",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_MODEL_CATALOG_URI": "",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",  # so that its lines look like the others
}


@asynccontextmanager
async def open_tracing() -> AsyncIterator[Callable[[RunTurn], RunTurn]]:
    """Yield what makes turns traced; at the end, take up to FLUSH_SECONDS to send what is left.

    MLflow itself would do so when Python exits, but not when a signal ends uvicorn.
    """
    if not await asyncio.to_thread(start_tracing):
        yield lambda run_turn: run_turn
        return
    try:
        yield traced
    finally:
        from mlflow import flush_trace_async_logging as flush

        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(flush), limit("FLUSH_SECONDS"))


def start_tracing() -> bool:
    """Send traces to MLFLOW_EXPERIMENT_ID, if it is set; return whether turns can be traced."""
    experiment = os.environ.get("MLFLOW_EXPERIMENT_ID")
    if not experiment:
        return False
    if is_tracing():
        return True
    logging.getLogger("mlflow.utils.databricks_utils").addFilter(_say_once)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    os.environ.update({**MLFLOW_DEFAULTS, **os.environ})
    from mlflow import MlflowException, entities, tracing

    try:
        # Otherwise MLflow looks up the experiment in every turn, and blocks the event loop.
        tracing.set_destination(entities.MlflowExperimentLocation(experiment))
    except (MlflowException, ImportError) as error:
        log.warning("not tracing, because of MLFLOW_TRACKING_URI: %s", error)
        return False
    logging.getLogger(EXPORTER).addFilter(_say_once)
    log.info("tracing to MLflow experiment %s", experiment)
    return True


def is_tracing() -> bool:
    """Return whether this process sends traces to MLflow."""
    return _say_once in logging.getLogger(EXPORTER).filters


def _say_once(record: logging.LogRecord) -> bool:
    # Otherwise MLflow would log every trace that it can't send.
    logging.getLogger(record.name).setLevel(logging.CRITICAL)
    return True
