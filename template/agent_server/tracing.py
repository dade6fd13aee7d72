"""Traces to MLflow, when an experiment is configured; never in the way of a turn."""

import importlib
import logging
import os

from agent_server.settings import workspace_configured

log = logging.getLogger(__name__)

# An unreachable MLflow costs a background thread a few seconds a trace, not minutes. The catalog
# holds prices of models, which would be downloaded at the first turn.
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
QUIET = {"MLFLOW_MODEL_CATALOG_URI": "", "MLFLOW_DISABLE_TELEMETRY": "true"}


def start_tracing(flavor: str) -> None:
    """Trace every run to MLFLOW_EXPERIMENT_ID, if it is set; `flavor` names the MLflow module."""
    experiment = os.environ.get("MLFLOW_EXPERIMENT_ID")
    if not experiment:
        return
    tracking = {"MLFLOW_TRACKING_URI": "databricks"} if workspace_configured() else {}
    for name, value in {**PATIENCE, **QUIET, **tracking}.items():
        os.environ.setdefault(name, value)
    import mlflow
    from mlflow.exceptions import MlflowException

    importlib.import_module(flavor).autolog()
    try:
        mlflow.get_experiment(experiment)
        log.info("tracing to MLflow experiment %s", experiment)
    except (MlflowException, OSError) as error:
        log.warning("MLflow experiment %s is not reachable, turns go on: %s", experiment, error)
        # It would say so again for every trace.
        logging.getLogger("mlflow").setLevel(logging.CRITICAL)
