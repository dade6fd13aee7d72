"""What the commands read and create in a Databricks workspace, through the official SDK."""

import re
from dataclasses import dataclass
from datetime import timedelta

from databricks.sdk import WorkspaceClient
from databricks.sdk.common.lro import LroOptions
from databricks.sdk.errors import NotFound
from databricks.sdk.service.apps import App
from databricks.sdk.service.database import DatabaseInstance, DatabaseInstanceState
from databricks.sdk.service.postgres import (
    EndpointStatusState,
    EndpointType,
    Project,
    ProjectSpec,
)

from lakebase_agent.errors import WorkspaceError
from lakebase_agent.workspace.refusals import errors_explained

POSTGRES_DATABASE = "databricks_postgres"
CHAT_TASK = "llm/v1/chat"
CREATE_TIMEOUT = timedelta(minutes=20)
SMALLEST_INSTANCE = "CU_1"


@dataclass(frozen=True)
class Branch:
    """A branch of an autoscaling project, its database and its endpoint, as full paths."""

    name: str
    database: str
    endpoint: str


@dataclass(frozen=True)
class Workspace:
    """A workspace that one is signed in to. Every method raises WorkspaceError if it fails."""

    client: WorkspaceClient

    @property
    def host(self) -> str:
        """The workspace's address."""
        return str(self.client.config.host)

    def me(self) -> str:
        """Return the name of the user who is signed in."""
        with errors_explained(self.host):
            return str(self.client.current_user.me().user_name)

    def projects(self) -> list[str]:
        """Return the ids of the autoscaling projects."""
        with errors_explained(self.host):
            return [_id(project.name) for project in self.client.postgres.list_projects()]

    def branches(self, project: str) -> list[str]:
        """Return the ids of the branches of `project`."""
        with errors_explained(self.host):
            found = self.client.postgres.list_branches(f"projects/{project}")
            return [_id(branch.name) for branch in found]

    def branch(self, project: str, branch: str) -> Branch:
        """Return a branch with its database `databricks_postgres` and its read-write endpoint.

        A branch may have several databases and endpoints, in any order.
        """
        name = f"projects/{project}/branches/{branch}"
        with errors_explained(self.host):
            databases = [
                database.name
                for database in self.client.postgres.list_databases(name)
                if database.status and database.status.postgres_database == POSTGRES_DATABASE
            ]
            endpoints = [
                endpoint.name
                for endpoint in self.client.postgres.list_endpoints(name)
                if endpoint.status
                and endpoint.status.endpoint_type == EndpointType.ENDPOINT_TYPE_READ_WRITE
            ]
        database = _first(databases, f"{name} has no database {POSTGRES_DATABASE}")
        return Branch(name, database, _first(endpoints, f"{name} has no read-write endpoint"))

    def branch_at(self, path: str) -> Branch:
        """Return the branch at a full path, projects/P/branches/B."""
        match = re.fullmatch("projects/([^/]+)/branches/([^/]+)", path)
        if not match:
            raise WorkspaceError(f"{path!r} is not the path of a branch")
        return self.branch(match[1], match[2])

    def endpoint_state(self, endpoint: str) -> tuple[EndpointStatusState | None, str]:
        """Return the state of an endpoint, and its direct host; empty if it has none yet."""
        with errors_explained(self.host):
            status = self.client.postgres.get_endpoint(endpoint).status
        host = status.hosts.host if status and status.hosts else None
        return (status.current_state if status else None, host or "")

    def endpoint_token(self, endpoint: str) -> str:
        """Return a password for an endpoint, valid for an hour."""
        with errors_explained(self.host):
            credential = self.client.postgres.generate_database_credential(endpoint)
        return credential.token or ""

    def instance_state(self, name: str) -> tuple[DatabaseInstanceState | None, str]:
        """Return the state of an instance, and its host; empty if it has none yet."""
        with errors_explained(self.host):
            instance = self.client.database.get_database_instance(name)
        return instance.state, instance.read_write_dns or ""

    def instance_token(self, name: str) -> str:
        """Return a password for an instance, valid for an hour."""
        with errors_explained(self.host):
            credential = self.client.database.generate_database_credential(instance_names=[name])
        return credential.token or ""

    def embedding_length(self, endpoint: str) -> int:
        """Return the number of dimensions of what a serving endpoint returns; 0 for no vectors."""
        with errors_explained(self.host):
            answer = self.client.serving_endpoints.query(endpoint, input=["length"])
        return len(answer.data[0].embedding or []) if answer.data else 0

    def find_app(self, name: str) -> App | None:
        """Return an app; None if there is none of this name."""
        with errors_explained(self.host):
            try:
                return self.client.apps.get(name)
            except NotFound:
                return None

    def apps_by_principal(self) -> dict[str, str]:
        """Return the names of the apps that one may see, by their service principals."""
        with errors_explained(self.host):
            apps = list(self.client.apps.list())
        return {str(app.service_principal_client_id): str(app.name) for app in apps}

    def create_project(self, project: str) -> None:
        """Create an autoscaling project, and wait for it, at most CREATE_TIMEOUT."""
        with errors_explained(self.host):
            spec = ProjectSpec(display_name=project)
            operation = self.client.postgres.create_project(Project(spec=spec), project)
            operation.wait(LroOptions(timeout=CREATE_TIMEOUT))

    def create_instance(self, name: str) -> None:
        """Create a provisioned instance, and wait for it, at most CREATE_TIMEOUT."""
        with errors_explained(self.host):
            instance = DatabaseInstance(name, capacity=SMALLEST_INSTANCE)
            self.client.database.create_database_instance_and_wait(instance, CREATE_TIMEOUT)

    def instances(self) -> list[str]:
        """Return the names of the provisioned instances."""
        with errors_explained(self.host):
            return [item.name for item in self.client.database.list_database_instances()]

    def chat_endpoints(self) -> list[str]:
        """Return the names of the serving endpoints of chat models."""
        with errors_explained(self.host):
            found = self.client.serving_endpoints.list()
            return [str(endpoint.name) for endpoint in found if endpoint.task == CHAT_TASK]

    def experiment(self, name_or_id: str) -> str | None:
        """Return the id of an experiment, given its id or its name; None if there is none."""
        with errors_explained(self.host):
            try:
                if name_or_id.isdigit():
                    by_id = self.client.experiments.get_experiment(name_or_id)
                    return by_id.experiment.experiment_id if by_id.experiment else None
                by_name = self.client.experiments.get_by_name(name_or_id)
                return by_name.experiment.experiment_id if by_name.experiment else None
            except NotFound:
                return None

    def create_experiment(self, name: str) -> str:
        """Create an experiment, and return its id."""
        with errors_explained(self.host):
            return str(self.client.experiments.create_experiment(name).experiment_id)

    def apps(self) -> list[str]:
        """Return the names of the apps that one may see."""
        with errors_explained(self.host):
            return [str(app.name) for app in self.client.apps.list()]

    def app(self, name: str) -> App:
        """Return an app; raises WorkspaceError if there is none of this name."""
        with errors_explained(self.host):
            return self.client.apps.get(name)


def _first(names: list[str | None], missing: str) -> str:
    if not names:
        raise WorkspaceError(f"{missing} yet. It may be starting: try again in a minute.")
    return str(names[0])


def _id(path: str | None) -> str:
    return str(path).rsplit("/", 1)[-1]
