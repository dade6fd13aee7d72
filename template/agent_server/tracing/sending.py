"""How MLflow reaches a workspace: signed in once, not anew for each request.

Left to itself, it builds two clients of the workspace for each trace, which takes as long as the
rest of sending it. The entry points in pyproject.toml make what is here its plugins:
https://mlflow.org/docs/latest/ml/plugins/
"""

from typing import Any
from urllib.parse import urlsplit

from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.databricks_artifact_repo import DatabricksArtifactRepository
from mlflow.store.artifact.dbfs_artifact_repo import dbfs_artifact_repo_factory
from mlflow.store.artifact.uc_volume_artifact_repo import uc_volume_artifact_repo_factory
from mlflow.store.tracking.databricks_rest_store import DatabricksTracingRestStore
from mlflow.utils.databricks_utils import get_databricks_host_creds
from mlflow.utils.rest_utils import MlflowHostCreds
from mlflow.utils.uri import is_uc_volumes_uri

from agent_server.server.workspace import workspace_client

# The storage that takes an upload in one request, and the headers it needs; others take several.
# https://learn.microsoft.com/rest/api/storageservices/put-blob
IN_ONE_REQUEST: dict[Any, dict[str, str]] = {
    "AWS_PRESIGNED_URL": {},
    "AZURE_SAS_URI": {"x-ms-blob-type": "BlockBlob"},
    "GCP_SIGNED_URL": {},
}


def build_store(store_uri: str, artifact_uri: str | None = None) -> DatabricksTracingRestStore:
    """Return MLflow's store for a workspace; how to sign in is looked up only once."""
    return DatabricksTracingRestStore(Credentials(store_uri))  # type: ignore[no-untyped-call]


def build_artifacts(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> ArtifactRepository:
    """Return the repository of a run's or a trace's files; a trace's are cheaper to upload."""
    # With a profile or a secret scope, it is another workspace's.
    if urlsplit(artifact_uri).netloc == "databricks" and _trace_id(artifact_uri):
        return TraceFiles(artifact_uri, tracking_uri, registry_uri)
    volume = is_uc_volumes_uri(artifact_uri)
    build: Any = uc_volume_artifact_repo_factory if volume else dbfs_artifact_repo_factory
    repository: ArtifactRepository = build(artifact_uri, tracking_uri, registry_uri)
    return repository


class Credentials:
    """How to sign in to a workspace, which MLflow asks before each request."""

    def __init__(self, store_uri: str) -> None:
        self._store_uri = store_uri
        self._found: MlflowHostCreds | None = None

    def __call__(self) -> MlflowHostCreds:
        """Return it; raises MlflowException when there is no way."""
        if self._found:
            return self._found
        found: MlflowHostCreds = get_databricks_host_creds(self._store_uri)  # type: ignore[no-untyped-call]
        # The SDK renews what it signs in with. A token from a secret scope would end.
        if found.use_databricks_sdk and not found.use_secret_scope_token:
            self._found = found
        return found


class TraceFiles(DatabricksArtifactRepository):
    """The files of a trace in the workspace that the app itself signs in to."""

    def upload_trace_data(self, trace_data: str) -> None:
        """Upload the spans; if that fails, leave it to MLflow's own upload, which retries."""
        try:
            uploaded = _upload(_trace_id(self.artifact_uri), trace_data.encode())
        except OSError:  # what the SDK raises
            uploaded = False
        if not uploaded:
            super().upload_trace_data(trace_data)


def _trace_id(artifact_uri: str) -> str:
    """Return the id in `dbfs:/databricks/mlflow-tracking/EXPERIMENT/tr-.../artifacts`, or ""."""
    match urlsplit(artifact_uri).path.split("/"):
        case ["", "databricks", "mlflow-tracking", _, str(name), *_] if name.startswith("tr-"):
            return name
    return ""


def _upload(trace_id: str, spans: bytes) -> bool:
    """Upload spans to where the workspace says; return False if one request is not enough."""
    client = workspace_client().api_client
    path = f"/api/2.0/mlflow/traces/{trace_id}/credentials-for-data-upload"
    answer: Any = client.do("GET", path)
    match answer:
        case {"credential_info": {"type": kind, "signed_uri": url}} if kind in IN_ONE_REQUEST:
            named = answer["credential_info"].get("headers") or ()
            headers = {header["name"]: header["value"] for header in named} | IN_ONE_REQUEST[kind]
            client.do("PUT", url=url, headers=headers, data=spans, auth=_as_signed)
            return True
    return False


def _as_signed(request: Any) -> Any:
    # The address is the permission: storage refuses a token beside it.
    return request
