"""MLflow tracing as a workspace does it: the spans of a trace go to a signed address."""

from fastapi import APIRouter

from tests.standins.mlflow import Json, StandinMlflow


class TracingApi:
    """Takes traces, and keeps them in `mlflow`."""

    def __init__(self, mlflow: StandinMlflow, url: str) -> None:
        self._mlflow, self._url = mlflow, url
        self.router = APIRouter()
        self.router.post("/api/3.0/mlflow/traces")(self.start_trace)
        self.router.get("/api/2.0/mlflow/traces/{trace_id}/credentials-for-data-upload")(self.place)
        self.router.post("/api/2.0/mlflow/logged-models/search")(self.models)
        # Signed addresses belong to the cloud's storage, and need no token.
        self.router.put("/upload/{trace_id}")(mlflow.put_spans)

    async def start_trace(self, body: Json) -> Json:
        """Keep what a trace is about, and say in which folder of the workspace its spans are."""
        info = (await self._mlflow.start_trace(body))["trace"]["trace_info"]
        experiment = self._mlflow.experiments[info["trace_id"]]
        folder = f"dbfs:/databricks/mlflow-tracking/{experiment}/{info['trace_id']}"
        info["tags"]["mlflow.artifactLocation"] = folder
        return body

    async def place(self, trace_id: str) -> Json:
        """Return where to send the spans of a trace."""
        place = {"type": "AWS_PRESIGNED_URL", "signed_uri": f"{self._url}/upload/{trace_id}"}
        return {"credential_info": place}

    async def models(self) -> Json:
        """Return the one version that the workspace knows of every app."""
        info = {"model_id": "m-1", "experiment_id": "1001", "name": "local-no-git", "status": 2}
        return {"models": [{"info": info, "data": {}}]}
