"""The rest of the API: who am I, signing in, apps and experiments."""

import base64
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from tests.standins.workspace.content import Content
from tests.standins.workspace.errors import ApiError, not_found
from tests.standins.workspace.identities import Identities
from tests.standins.workspace.state import Experiment, Json

ACCOUNT, WORKSPACE = "6a1c1f0e-0000-4000-8000-000000000001", "1234567890123456"


class WorkspaceApi:
    """Answers for what is not Lakebase, from the content."""

    def __init__(self, content: Content, identities: Identities, url: str) -> None:
        self._content, self._identities, self._url = content, identities, url
        self.router = router = APIRouter()
        router.get("/.well-known/databricks-config")(self.metadata)
        router.get("/oidc/.well-known/oauth-authorization-server")(self.discover)
        router.post("/oidc/v1/token")(self.sign_in)
        router.get("/api/2.0/preview/scim/v2/Me")(self.me)
        router.get("/api/2.0/apps")(self.apps)
        router.get("/api/2.0/apps/{name}")(self.app)
        router.get("/api/2.0/workspace/export")(self.export)
        router.post("/api/2.0/workspace/mkdirs")(self.make_folder)
        router.get("/api/2.0/workspace/get-status")(self.find_folder)
        router.get("/api/2.0/serving-endpoints")(self.models)
        router.get("/api/2.0/serving-endpoints/{name}")(self.model)
        experiments = "/api/2.0/mlflow/experiments"
        router.get(f"{experiments}/get")(self.experiment)
        router.get(f"{experiments}/get-by-name")(self.experiment_by_name)
        router.post(f"{experiments}/create")(self.create_experiment)

    async def metadata(self) -> Json:
        """Return what kind of host this is."""
        ids = {"account_id": ACCOUNT, "workspace_id": WORKSPACE, "cloud": "AWS"}
        return {**ids, "oidc_endpoint": f"{self._url}/oidc"}

    async def discover(self) -> Json:
        """Return where to sign in."""
        base = f"{self._url}/oidc/v1"
        return {"authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token"}

    async def sign_in(self, request: Request) -> Response:
        """Return a token for a service principal's id and secret."""
        basic = request.headers.get("authorization", "").removeprefix("Basic ")
        client_id, _, secret = base64.b64decode(basic).decode().partition(":")
        token = self._identities.sign_in(client_id, secret)
        form = parse_qs((await request.body()).decode())
        if form.get("grant_type") != ["client_credentials"] or token is None:
            text = "Client authentication failed"
            return JSONResponse({"error": "invalid_client", "error_description": text}, 401)
        seconds = self._identities.sign_in_seconds
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": seconds}
        return JSONResponse(answer)

    async def me(self, request: Request) -> Json:
        """Return whose token it is, with the groups as databricks-sdk reads them."""
        who = request.state.identity
        names = {"id": who.id, "userName": who.user_name, "displayName": who.user_name}
        emails = [{"type": "work", "value": who.user_name, "primary": True}]
        groups = [
            {"display": name, "type": "direct", "value": str(number), "$ref": f"Groups/{number}"}
            for number, name in enumerate(self._identities.groups.get(who.user_name, []))
        ]
        named = {**names, "active": True, "emails": emails if who.is_user else []}
        return {**named, **({"groups": groups} if groups else {})}

    async def apps(self) -> Json:
        """Return the apps."""
        return {"apps": [app.to_json() for app in self._content.apps.values()]}

    async def app(self, name: str) -> Json:
        """Return an app."""
        if name not in self._content.apps:
            raise not_found(f"App with name {name}")
        return self._content.apps[name].to_json()

    async def export(self, path: str) -> Response:
        """Return a file of the workspace."""
        if path not in self._content.files:
            text = f"Path ({path}) doesn't exist."
            raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", text)
        return Response(self._content.files[path], media_type="application/octet-stream")

    async def make_folder(self) -> Json:
        """Make a folder of the workspace, where there is none."""
        return {}

    async def find_folder(self, path: str) -> Json:
        """Return what is at a path: a folder, because nobody asks for files."""
        return {"path": path, "object_type": "DIRECTORY", "object_id": 1}

    async def models(self) -> Json:
        """Return the serving endpoints."""
        return {"endpoints": [await self.model(name) for name in self._content.models]}

    async def model(self, name: str) -> Json:
        """Return a serving endpoint."""
        if name not in self._content.models:
            raise not_found(f"The endpoint {name}")
        task = "llm/v1/embeddings" if name.endswith("-en") else "llm/v1/chat"
        state = {"ready": "READY", "config_update": "NOT_UPDATING"}
        return {"name": name, "task": task, "state": state}

    async def experiment(self, experiment_id: str) -> Json:
        """Return an experiment."""
        return self._experiment("id", experiment_id)

    async def experiment_by_name(self, experiment_name: str) -> Json:
        """Return an experiment."""
        return self._experiment("name", experiment_name)

    async def create_experiment(self, body: Json) -> Json:
        """Create an experiment; its folder, of a user, always exists."""
        name = body["name"]
        if any(known.name == name for known in self._content.experiments):
            text = f"Node named '{name}' already exists"
            raise ApiError(400, "RESOURCE_ALREADY_EXISTS", text)
        new = Experiment(str(1001 + len(self._content.experiments)), name)
        self._content.experiments.append(new)
        return {"experiment_id": new.id}

    def _experiment(self, key: str, value: str) -> Json:
        for experiment in self._content.experiments:
            if getattr(experiment, key) == value:
                return {"experiment": experiment.to_json()}
        text = f"Node {value} does not exist."
        raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", text)
