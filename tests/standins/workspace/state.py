"""What is in the stand-in workspace: plain objects, which a test may change at any time.

The shapes are those that databricks-sdk reads (`databricks/sdk/service/*.py`).
"""

from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

Json = dict[str, Any]
CREATED = "2026-01-02T03:04:05Z"


class Resource(Protocol):
    """Something of an autoscaling Lakebase, under its full path."""

    name: str

    def to_json(self) -> Json:
        """Return it as the API does."""


@dataclass
class Project:
    """projects/P."""

    name: str
    display_name: str = ""

    def to_json(self) -> Json:
        """Return it as the API does."""
        status = {
            "project_id": _id(self.name),
            "display_name": self.display_name or _id(self.name),
            "pg_version": 17,
        }
        head = {"name": self.name, "project_id": _id(self.name), "uid": _id(self.name)}
        return {**head, "create_time": CREATED, "status": status}


@dataclass
class Branch:
    """projects/P/branches/B."""

    name: str
    default: bool = False
    state: str = "READY"

    def to_json(self) -> Json:
        """Return it as the API does."""
        status = {
            "branch_id": _id(self.name),
            "current_state": self.state,
            "default": self.default,
            "logical_size_bytes": "30000000",
        }
        return {**_head(self.name), "status": status}


@dataclass
class Database:
    """projects/P/branches/B/databases/D: its id is not its name in Postgres."""

    name: str
    postgres_database: str
    role: str = "projects/-/branches/-/roles/owner"

    def to_json(self) -> Json:
        """Return it as the API does."""
        status = {
            "database_id": _id(self.name),
            "postgres_database": self.postgres_database,
            "role": self.role,
        }
        return {**_head(self.name), "status": status}


@dataclass
class Endpoint:
    """projects/P/branches/B/endpoints/E. Without a host it is still starting."""

    name: str
    host: str = ""
    pooled_host: str = ""
    writable: bool = True
    state: str = "ACTIVE"

    def to_json(self) -> Json:
        """Return it as the API does."""
        kind = "READ_WRITE" if self.writable else "READ_ONLY"
        status: Json = {
            "endpoint_id": _id(self.name),
            "endpoint_type": f"ENDPOINT_TYPE_{kind}",
            "current_state": self.state,
        }
        if self.host:
            pooled = f"{kind.lower()}_pooled_host"
            status["hosts"] = {"host": self.host, pooled: self.pooled_host}
        return {**_head(self.name), "status": status}


@dataclass
class Role:
    """projects/P/branches/B/roles/R."""

    name: str
    postgres_role: str
    identity_type: str = "USER"

    def to_json(self) -> Json:
        """Return it as the API does."""
        status = {
            "role_id": _id(self.name),
            "postgres_role": self.postgres_role,
            "identity_type": self.identity_type,
            "auth_method": "LAKEBASE_OAUTH_V1",
        }
        return {**_head(self.name), "status": status}


@dataclass
class Instance:
    """A provisioned Lakebase instance. While `polls` are left it is starting."""

    name: str
    host: str
    state: str = "AVAILABLE"
    polls: int = 0
    uid: str = field(default_factory=lambda: str(uuid4()))

    def to_json(self) -> Json:
        """Return it as the API does."""
        starting = self.polls > 0
        state = "STARTING" if starting else self.state
        body = {"name": self.name, "uid": self.uid, "state": state, "capacity": "CU_1"}
        dns = {} if starting else {"read_write_dns": self.host, "read_only_dns": self.host}
        return {**body, "creation_time": CREATED, "pg_version": "PG_VERSION_16", **dns}


@dataclass
class Experiment:
    """An MLflow experiment."""

    id: str
    name: str

    def to_json(self) -> Json:
        """Return it as the API does."""
        location = f"dbfs:/databricks/mlflow-tracking/{self.id}"
        head = {"experiment_id": self.id, "name": self.name, "artifact_location": location}
        return {**head, "lifecycle_stage": "active"}


@dataclass
class Operation:
    """Something that takes time: done when a client has asked for it so often."""

    name: str
    polls: int
    creates: list[Resource]
    error: Json | None = None


def _head(name: str) -> Json:
    parent = name.rsplit("/", 2)[0]
    return {"name": name, "parent": parent, "uid": _id(name), "create_time": CREATED}


def _id(name: str) -> str:
    return name.rsplit("/", 1)[-1]
