"""Model serving: the template's offline model, behind the names of serving endpoints."""

import json

from starlette.types import Message, Receive, Scope, Send

from local.model import build_model_app
from tests.standins.workspace.content import Content
from tests.standins.workspace.errors import ApiError

ROUTES = {"chat": "/v1/chat/completions", "embeddings": "/v1/embeddings"}


class Serving:
    """Answers below `/serving-endpoints`, whose path is cut off."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._model = build_model_app()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the model answer when the endpoint exists."""
        path = scope["path"].removeprefix(scope.get("root_path", "")).strip("/")
        body = await _body(receive)
        asked = json.loads(body or b"{}")
        name = asked.get("model", "")
        if path.endswith("/invocations"):
            name, path = path.removesuffix("/invocations"), "chat" if "messages" in asked else ""
        if name not in self._content.models:
            error = ApiError(404, "ENDPOINT_NOT_FOUND", f"The endpoint {name} does not exist.")
            await error.to_response()(scope, receive, send)
            return
        route = ROUTES["chat" if path.startswith("chat") else "embeddings"]
        question: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return question.pop() if question else await receive()

        await self._model({**scope, "path": route, "root_path": ""}, again, send)


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body
