"""The content of a new stand-in workspace: one of everything that clients get wrong."""

import json
from dataclasses import dataclass, field
from uuid import uuid4

from tests.standins.workspace.apps import App
from tests.standins.workspace.state import (
    Branch,
    Database,
    Endpoint,
    Experiment,
    Instance,
    Operation,
    Project,
    Resource,
    Role,
)

PROJECT, BRANCH = "agents", "production"
BRANCH_PATH = f"projects/{PROJECT}/branches/{BRANCH}"
ENDPOINT_PATH = f"{BRANCH_PATH}/endpoints/primary"
DATABASE_PATH = f"{BRANCH_PATH}/databases/db-7x3k-9fjq2m8v1c"
INSTANCE, APP = "agent-memory", "my-agent"
APP_PRINCIPAL = "0f3b9d52-6a51-4c86-9e0b-6f1d2a7c4e90"
# Where the Databricks CLI keeps what a user's deployments to production created.
STATE = "/Workspace/Users/{}/.bundle/my-agent/prod/state"
POSTGRES_DATABASE = "databricks_postgres"
MODELS = ("databricks-claude-sonnet-4-5", "databricks-gte-large-en", "databricks-bge-large-en")
# Where nobody listens: for a client that takes the wrong host.
READ_ONLY_HOST, POOLED_HOST, OTHER_HOST = "127.1.0.1", "127.1.0.2", "127.1.0.3"


@dataclass
class Content:
    """What the workspace holds, by name."""

    host: str
    owner: str
    polls: int = 2  # how often a client asks before something new is there
    page_size: int = 2
    lakebase: dict[str, Resource] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    apps: dict[str, App] = field(default_factory=dict)
    experiments: list[Experiment] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)  # of the workspace, by path
    writers: set[str] = field(default_factory=set)  # who may write to the folders of others
    # The scopes that apps may ask for; "*" is all of them.
    app_scopes: list[str] = field(default_factory=lambda: ["*"])
    models: list[str] = field(default_factory=lambda: list(MODELS))

    def add(self, *resources: Resource) -> None:
        """Put parts of an autoscaling Lakebase in their places."""
        self.lakebase.update({resource.name: resource for resource in resources})

    def below(self, parent: str, kind: str) -> list[Resource]:
        """Return what of `kind` ("branches", "endpoints"...) belongs to `parent`."""
        prefix = f"{parent}/{kind}/" if parent else f"{kind}/"
        return [
            resource
            for name, resource in self.lakebase.items()
            if name.startswith(prefix) and "/" not in name.removeprefix(prefix)
        ]

    def new_branch(self, name: str, default: bool = False, database_id: str = "") -> list[Resource]:
        """Return a branch as the platform makes it, with an endpoint at the served host."""
        database_id = database_id or f"db-{uuid4().hex[:10]}"
        return [
            Branch(name, default),
            Database(f"{name}/databases/{database_id}", POSTGRES_DATABASE),
            Endpoint(f"{name}/endpoints/primary", self.host, POOLED_HOST),
            Role(f"{name}/roles/owner", self.owner),
        ]


def example_content(host: str, owner: str) -> Content:
    """Return a workspace of `owner` whose Lakebase is at `host`."""
    content = Content(host, owner)
    content.add(
        Project("projects/billing"),
        *_unserved("projects/billing/branches/production"),
        Project(f"projects/{PROJECT}", "Agents"),
        *_unserved(f"projects/{PROJECT}/branches/development"),
        *_served(),
        Endpoint(ENDPOINT_PATH, host, POOLED_HOST),
        Role(f"{BRANCH_PATH}/roles/owner", owner),
        Role(f"{BRANCH_PATH}/roles/app", APP_PRINCIPAL, "SERVICE_PRINCIPAL"),
        *_unserved(f"projects/{PROJECT}/branches/test"),
        Project("projects/search"),
        *_unserved("projects/search/branches/production"),
    )
    for name, place in (("analytics", OTHER_HOST), (INSTANCE, host), ("staging", OTHER_HOST)):
        content.instances[name] = Instance(name, place)
    content.experiments.append(Experiment("1001", "/Users/somebody@example.com/other"))
    content.apps[APP] = App(APP, APP_PRINCIPAL, creator=owner)
    state = {"state": {"resources.apps.my_agent": {"__id__": APP}}}
    content.files[f"{STATE.format(owner)}/resources.json"] = json.dumps(state).encode()
    return content


def _served() -> list[Resource]:
    # Neither the first database nor the first endpoint is the right one.
    return [
        Branch(BRANCH_PATH, default=True),
        Database(f"{BRANCH_PATH}/databases/db-1a2b-analytics0", "analytics"),
        Database(DATABASE_PATH, POSTGRES_DATABASE),
        Database(f"{BRANCH_PATH}/databases/db-3c4d-reporting0", "reporting"),
        Endpoint(f"{BRANCH_PATH}/endpoints/replica", READ_ONLY_HOST, POOLED_HOST, writable=False),
    ]


def _unserved(name: str) -> list[Resource]:
    return [
        Branch(name, default=name.endswith("/production")),
        Database(f"{name}/databases/db-0000-postgres00", POSTGRES_DATABASE),
        Endpoint(f"{name}/endpoints/primary", OTHER_HOST, OTHER_HOST),
    ]
