"""MLflow tracing as a workspace does it: the spans of a trace go to a signed address."""

from collections import defaultdict

from fastapi import APIRouter, HTTPException, Request

from tests.standins.mlflow import Json, StandinMlflow

S3, AZURE, LAKE = "AWS_PRESIGNED_URL", "AZURE_SAS_URI", "AZURE_ADLS_GEN2_SAS_URI"
# The header without which it refuses an upload. The workspace names S3's, which was signed.
REQUIRED = {
    S3: ("x-amz-server-side-encryption", "aws:kms"), AZURE: ("x-ms-blob-type", "BlockBlob"),
    LAKE: ("", ""),
}  # fmt: skip


class TracingApi:
    """Takes traces, and keeps them in `mlflow`.

    The kinds of storage are those of MLflow's `databricks_artifacts.proto`.
    """

    def __init__(self, mlflow: StandinMlflow, url: str) -> None:
        self._mlflow, self._url = mlflow, url
        self._blocks: dict[str, bytes] = defaultdict(bytes)
        self.router = APIRouter()
        self.router.post("/api/3.0/mlflow/traces")(self.start_trace)
        self.router.get("/api/2.0/mlflow/traces/{trace_id}/credentials-for-data-upload")(self.place)
        self.router.post("/api/2.0/mlflow/logged-models/search")(self.models)
        # Signed addresses belong to the cloud's storage, and need no token.
        self.router.api_route("/upload/{trace_id}", methods=["PUT", "PATCH"])(self.upload)

    async def start_trace(self, body: Json) -> Json:
        """Keep what a trace is about, and say in which folder of the workspace its spans are."""
        info = (await self._mlflow.start_trace(body))["trace"]["trace_info"]
        experiment = self._mlflow.experiments[info["trace_id"]]
        folder = f"dbfs:/databricks/mlflow-tracking/{experiment}/{info['trace_id']}/artifacts"
        info["tags"]["mlflow.artifactLocation"] = folder
        return body

    async def place(self, trace_id: str) -> Json:
        """Return where to send the spans of a trace."""
        kind, (name, value) = self._mlflow.storage, REQUIRED[S3]
        headers = [{"name": name, "value": value}] if kind == S3 else []
        signed = f"{self._url}/upload/{trace_id}?sig=s"
        return {"credential_info": {"type": kind, "headers": headers, "signed_uri": signed}}

    async def upload(self, trace_id: str, request: Request) -> None:
        """Take spans as storage does, which refuses a second way to sign in.

        S3 refuses what was signed with other headers ("Error responses"), Azure a blob without its
        type ("Put Blob"); a data lake takes a file in a request to create it and others to fill it
        ("Path").
        """
        if "authorization" in request.headers:
            raise HTTPException(400, "Only one auth mechanism allowed")
        if self._mlflow.expired:
            self._mlflow.expired -= 1
            raise HTTPException(403, "Request has expired")
        name, value = REQUIRED[self._mlflow.storage]
        if name and request.headers.get(name) != value:
            raise HTTPException(403, f"{name} must be {value}")
        self._blocks[trace_id] += await request.body()
        if self._mlflow.storage != LAKE or "flush" in str(request.url):
            self._mlflow.keep_spans(trace_id, self._blocks.pop(trace_id))

    async def models(self) -> Json:
        """Return the one version that the workspace knows of every app."""
        info = {"model_id": "m-1", "experiment_id": "1001", "name": "local-no-git", "status": 2}
        return {"models": [{"info": info, "data": {}}]}
