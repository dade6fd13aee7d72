"""The API of Lakebase: autoscaling projects (`/postgres`) and instances (`/database`)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request

from tests.standins.workspace.content import Content
from tests.standins.workspace.errors import ApiError, not_found
from tests.standins.workspace.identities import Credential, Identities
from tests.standins.workspace.state import (
    Database,
    Endpoint,
    Instance,
    Json,
    Operation,
    Project,
    Resource,
    Role,
)


class LakebaseApi:
    """Answers for Lakebase, from the content."""

    def __init__(self, content: Content, identities: Identities) -> None:
        self._content, self._identities = content, identities
        self.router = APIRouter(prefix="/api/2.0")
        self.router.post("/postgres/credentials")(self.mint_for_endpoint)
        self.router.get("/postgres/{name:path}")(self.get)
        self.router.post("/postgres/{name:path}")(self.create)
        self.router.delete("/postgres/{name:path}")(self.delete)
        self.router.post("/database/credentials")(self.mint_for_instances)
        self.router.get("/database/instances:findByUid")(self.find_instance)
        self.router.get("/database/instances")(self.list_instances)
        self.router.post("/database/instances")(self.create_instance)
        self.router.get("/database/instances/{name}")(self.get_instance)

    async def get(self, name: str, request: Request) -> Json:
        """Return a resource, or a page of a list: a path of an odd number of parts."""
        *head, last = name.split("/")
        if len(head) % 2:
            return self._operation(name) if head[-1] == "operations" else self._find(name).to_json()
        parent = "/".join(head)
        if parent:
            self._find(parent)
        return self._page(last, self._content.below(parent, last), request.query_params)

    async def create(self, name: str, request: Request) -> Json:
        """Begin to create a resource in the list `name`, and return the operation."""
        parent, _, kind = name.rpartition("/")
        singular = "branch" if kind == "branches" else kind.removesuffix("s")
        new = f"{name}/{request.query_params.get(f'{singular}_id') or uuid4().hex[:12]}"
        if parent:
            self._find(parent)
        if new in self._content.lakebase:
            raise ApiError(409, "ALREADY_EXISTS", f"{new} already exists.")
        made = self._make(kind, new, (await request.json()).get("spec") or {})
        operation = Operation(f"{new}/operations/{uuid4()}", self._content.polls, made)
        self._content.operations[operation.name] = operation
        return {"name": operation.name, "done": False, "metadata": {}}

    async def delete(self, name: str) -> Json:
        """Delete a resource and what is below it, and return the operation."""
        self._find(name)
        for other in list(self._content.lakebase):
            if f"{other}/".startswith(f"{name}/"):
                del self._content.lakebase[other]
        operation = Operation(f"{name}/operations/{uuid4()}", 0, [])
        self._content.operations[operation.name] = operation
        return {"name": operation.name, "done": False, "metadata": {}}

    async def mint_for_endpoint(self, request: Request) -> Json:
        """Return a password for the Postgres behind an endpoint."""
        self._find((await request.json())["endpoint"])
        credential = self._identities.mint(request.state.identity)
        return {"token": credential.token, "expire_time": _time(credential)}

    async def mint_for_instances(self, request: Request) -> Json:
        """Return a password for the Postgres of some instances."""
        for name in (await request.json()).get("instance_names", []):
            self._instance(name)
        credential = self._identities.mint(request.state.identity)
        return {"token": credential.token, "expiration_time": _time(credential)}

    async def list_instances(self, request: Request) -> Json:
        """Return a page of the instances."""
        instances = list(self._content.instances.values())
        return self._page("database_instances", instances, request.query_params)

    async def get_instance(self, name: str) -> Json:
        """Return an instance, which gets ready as it is asked for."""
        instance = self._instance(name)
        instance.polls -= 1
        return instance.to_json()

    async def find_instance(self, uid: str) -> Json:
        """Return the instance with that uid."""
        for instance in self._content.instances.values():
            if instance.uid == uid:
                return instance.to_json()
        raise not_found(f"Database instance with uid '{uid}'")

    async def create_instance(self, body: Json) -> Json:
        """Begin to create an instance."""
        name = body["name"]
        if name in self._content.instances:
            raise ApiError(409, "ALREADY_EXISTS", f"Database instance '{name}' already exists.")
        instance = Instance(name, self._content.host, polls=self._content.polls)
        self._content.instances[name] = instance
        return instance.to_json()

    def _find(self, name: str) -> Resource:
        if name not in self._content.lakebase:
            raise not_found(f"'{name}'")
        return self._content.lakebase[name]

    def _instance(self, name: str) -> Instance:
        if name not in self._content.instances:
            raise not_found(f"Database instance '{name}'")
        return self._content.instances[name]

    def _make(self, kind: str, name: str, spec: Json) -> list[Resource]:
        content = self._content
        if kind == "projects":
            branch = content.new_branch(f"{name}/branches/production", default=True)
            return [Project(name, spec.get("display_name", "")), *branch]
        if kind == "branches":
            return content.new_branch(name)
        if kind == "endpoints":
            writable = spec.get("endpoint_type") == "ENDPOINT_TYPE_READ_WRITE"
            return [Endpoint(name, content.host, writable=writable)]
        if kind == "databases":
            return [Database(name, spec["postgres_database"], spec["role"])]
        if kind == "roles":
            return [Role(name, spec["postgres_role"], spec.get("identity_type", "USER"))]
        raise not_found(f"'{kind}'")

    def _operation(self, name: str) -> Json:
        operation = self._content.operations.get(name)
        if operation is None:
            raise not_found(f"'{name}'")
        operation.polls -= 1
        if operation.polls > 0:
            return {"name": name, "done": False, "metadata": {}}
        if operation.error:
            return {"name": name, "done": True, "error": operation.error}
        self._content.add(*operation.creates)
        response = operation.creates[0].to_json() if operation.creates else {}
        return {"name": name, "done": True, "metadata": {}, "response": response}

    def _page(self, key: str, items: Sequence[Any], query: Mapping[str, str]) -> Json:
        start = int(query.get("page_token") or 0)
        # Never more than the workspace likes, so that clients have to ask for the next page.
        size = min(int(query.get("page_size") or 100), self._content.page_size)
        end = start + size
        page = {key: [item.to_json() for item in items[start:end]]}
        return {**page, "next_page_token": str(end)} if end < len(items) else page


def _time(credential: Credential) -> str:
    return datetime.fromtimestamp(credential.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
