"""The stand-in workspace, through the official clients that the other tests rely on."""

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config
from databricks.sdk.errors import (
    BadRequest,
    InternalError,
    NotFound,
    PermissionDenied,
    ResourceDoesNotExist,
    Unauthenticated,
)
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service.database import DatabaseInstance, DatabaseInstanceState
from databricks.sdk.service.postgres import EndpointType, Project, ProjectSpec
from openai import NotFoundError, OpenAI

from tests.standins.workspace import (
    APP,
    APP_PRINCIPAL,
    BRANCH_PATH,
    DATABASE_PATH,
    ENDPOINT_PATH,
    INSTANCE,
    ME,
    PROJECT,
    Workspace,
    open_workspace,
)

PROJECTS = "/api/2.0/postgres/projects"
CHAT, EMBEDDINGS = "databricks-claude-sonnet-4-5", "databricks-gte-large-en"
FAULTS = {
    "unauthenticated": Unauthenticated,
    "forbidden": PermissionDenied,
    "missing": NotFound,
    "broken": InternalError,
    "disabled": BadRequest,
}


@pytest.fixture(scope="module")
def served() -> Iterator[Workspace]:
    """Yield a workspace."""
    with open_workspace() as workspace:
        yield workspace


@pytest.fixture
def workspace(served: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """Yield that workspace, which the environment leads to, with nothing broken."""
    for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
        monkeypatch.delenv(name)
    for name, value in served.variables().items():
        monkeypatch.setenv(name, value)
    yield served
    served.faults.clear()
    served.content.polls = 2


@pytest.fixture
def client(workspace: Workspace) -> WorkspaceClient:
    """Return a client that gives up early."""
    return WorkspaceClient(config=Config(retry_timeout_seconds=1))


def test_a_token_identifies_its_user(client: WorkspaceClient) -> None:
    assert client.current_user.me().user_name == ME


def test_a_service_principal_signs_in_with_its_secret(workspace: Workspace) -> None:
    name, secret = workspace.identities.add_service_principal()
    client = _sign_in(name, secret)
    assert client.current_user.me().user_name == name


def test_a_wrong_secret_is_refused(workspace: Workspace) -> None:
    name, _ = workspace.identities.add_service_principal()
    with pytest.raises(ValueError, match="invalid_client"):
        _sign_in(name, "guess").current_user.me()


def test_a_revoked_token_is_refused(workspace: Workspace) -> None:
    token = workspace.identities.add_user("eve@example.com")
    workspace.identities.revoke(token)
    with pytest.raises(Unauthenticated):
        WorkspaceClient(token=token).current_user.me()


def test_lists_come_in_pages(workspace: Workspace, client: WorkspaceClient) -> None:
    before = len(workspace.calls(PROJECTS))
    names = {project.name for project in client.postgres.list_projects()}
    assert {"projects/agents", "projects/billing", "projects/search"} <= names
    assert len(workspace.calls(PROJECTS)) - before > 1


def test_the_right_database_is_not_listed_first(client: WorkspaceClient) -> None:
    found = list(client.postgres.list_databases(BRANCH_PATH))
    names = {d.name: d.status.postgres_database for d in found if d.status}
    assert len(found) == 3 and names[DATABASE_PATH] == "databricks_postgres"
    assert found[0].name != DATABASE_PATH


def test_the_writable_endpoint_is_not_listed_first(
    workspace: Workspace, client: WorkspaceClient
) -> None:
    replica, primary = client.postgres.list_endpoints(BRANCH_PATH)
    assert replica.status and primary.status and primary.status.hosts
    assert replica.status.endpoint_type == EndpointType.ENDPOINT_TYPE_READ_ONLY
    assert (primary.name, primary.status.hosts.host) == (ENDPOINT_PATH, workspace.content.host)
    assert primary.status.hosts.read_write_pooled_host not in (None, workspace.content.host)


def test_a_new_project_exists_once_its_operation_is_done(client: WorkspaceClient) -> None:
    operation = client.postgres.create_project(Project(spec=ProjectSpec()), "fresh")
    with pytest.raises(NotFound):
        client.postgres.get_project("projects/fresh")
    assert not operation.done()
    assert operation.wait().name == "projects/fresh"
    [branch] = client.postgres.list_branches("projects/fresh")
    assert len(list(client.postgres.list_endpoints(str(branch.name)))) == 1


def test_a_project_is_not_created_twice(client: WorkspaceClient) -> None:
    with pytest.raises(DatabricksError, match="already exists"):
        client.postgres.create_project(Project(), PROJECT)


def test_an_instance_is_found_by_its_name_host_and_uid(
    workspace: Workspace, client: WorkspaceClient
) -> None:
    workspace.content.instances[INSTANCE].host = "127.0.0.9"
    instance = client.database.get_database_instance(INSTANCE)
    listed = client.database.list_database_instances()
    assert [i.name for i in listed if i.read_write_dns == "127.0.0.9"] == [instance.name]
    assert client.database.find_database_instance_by_uid(uid=instance.uid).name == INSTANCE


def test_a_new_instance_starts_before_it_is_available(
    workspace: Workspace, client: WorkspaceClient
) -> None:
    workspace.content.polls = 1
    waiting = client.database.create_database_instance(DatabaseInstance("fresh"))
    starting: DatabaseInstance = waiting.response
    assert starting.state == DatabaseInstanceState.STARTING
    assert waiting.result().read_write_dns == workspace.content.host


def test_an_unknown_project_or_instance_is_a_404(client: WorkspaceClient) -> None:
    with pytest.raises(NotFound, match="projects/nowhere"):
        client.postgres.get_project("projects/nowhere")
    with pytest.raises(NotFound, match="nowhere"):
        client.database.get_database_instance("nowhere")


def test_an_app_has_a_service_principal(client: WorkspaceClient) -> None:
    assert client.apps.get(APP).service_principal_client_id == APP_PRINCIPAL


def test_an_experiment_is_created_once_and_found_by_id_and_name(client: WorkspaceClient) -> None:
    name = f"/Users/{ME}/my-agent"
    with pytest.raises(ResourceDoesNotExist):
        client.experiments.get_by_name(name)
    created = str(client.experiments.create_experiment(name).experiment_id)
    experiment = client.experiments.get_by_name(name).experiment
    assert experiment and experiment.experiment_id == created
    assert client.experiments.get_experiment(created).experiment == experiment


def test_a_serving_endpoint_answers_under_its_name(workspace: Workspace) -> None:
    messages: list[Any] = [{"role": "user", "content": "My name is Ada"}]
    with _openai(workspace) as client:
        answer = client.chat.completions.create(model=CHAT, messages=messages)
        vectors = client.embeddings.create(model=EMBEDDINGS, input=["one", "two"])
    assert "Ada" in str(answer.choices[0].message.content)
    assert [len(vector.embedding) for vector in vectors.data] == [1024, 1024]


def test_an_unknown_serving_endpoint_is_a_404(workspace: Workspace) -> None:
    with _openai(workspace) as client, pytest.raises(NotFoundError, match="nothing"):
        client.embeddings.create(model="nothing", input="one")


@pytest.mark.parametrize(("fault", "error"), FAULTS.items(), ids=FAULTS)
def test_a_fault_is_an_error_that_the_client_recognises(
    workspace: Workspace, client: WorkspaceClient, fault: str, error: type[DatabricksError]
) -> None:
    getattr(workspace.faults, fault)("/api/2.0/postgres")
    with pytest.raises(error):
        list(client.postgres.list_projects())
    assert client.current_user.me().user_name == ME


def test_a_rate_limited_client_tries_again(workspace: Workspace, client: WorkspaceClient) -> None:
    workspace.faults.limited(retry_after=0, times=1)
    before = len(workspace.calls())
    assert client.current_user.me().user_name == ME
    assert len(workspace.calls()) - before == 2


@pytest.mark.parametrize("fault", ["limited", "dropped"])
def test_a_client_gives_up_when_everything_is_limited_or_dropped(
    workspace: Workspace, client: WorkspaceClient, fault: str
) -> None:
    getattr(workspace.faults, fault)()
    with pytest.raises(TimeoutError):
        client.current_user.me()


def test_a_slow_workspace_answers_late(workspace: Workspace, client: WorkspaceClient) -> None:
    workspace.faults.slow(0.3, times=1)
    started = time.monotonic()
    client.current_user.me()
    assert time.monotonic() - started >= 0.3


def _sign_in(name: str, secret: str) -> WorkspaceClient:
    return WorkspaceClient(client_id=name, client_secret=secret, auth_type="oauth-m2m")


def _openai(workspace: Workspace) -> OpenAI:
    return OpenAI(base_url=f"{workspace.url}/serving-endpoints", api_key=workspace.token)
