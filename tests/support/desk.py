"""An agent that asks before it sends letters, and what tests say to it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.standins.answers import Answer, Call
from tests.standins.model import StandinModel
from tests.support.project import Project, Server
from tests.support.ways import Body, last_of

ADA, EVE = ({"X-Forwarded-User": name} for name in ("ada", "eve"))
ASKED = "mcp_approval_request"


@dataclass
class Desk:
    """A running agent that asks before it sends letters, and whom it has sent some."""

    project: Project
    server: Server
    model: StandinModel
    letters: Path
    variables: dict[str, str]

    @property
    def sent(self) -> list[str]:
        """Whom letters were sent to."""
        return self.letters.read_text().split() if self.letters.exists() else []

    def ask(self, *to: str, thread: str = "", say: str = "Write to them", **more: Any) -> Body:
        """Let the model call `send`, and return what the client is told."""
        calls = [Call("send", json.dumps({"to": one}), f"call_{one}") for one in to]
        self.model.script = [Answer("Well.", tuple(calls))]
        return self.say(thread or str(uuid4()), say, **more)

    def say(self, thread: str, what: Any, headers: Any = ADA, **more: Any) -> Body:
        """Return the response to an input."""
        body = {"input": what, "custom_inputs": {"thread_id": thread}, **more}
        answer = self.server.http.post("/responses", json=body, headers=headers)
        return last_of(answer) if more.get("stream") else dict(answer.json())

    def chat(self, chat: str, *to: str, **body: Any) -> Body:
        """Return the last state of the answer in a chat, in which the model calls `send`."""
        calls = tuple(Call("send", json.dumps({"to": one})) for one in to)
        self.model.script = [Answer("Well.", calls)] if calls else []
        headers = {**ADA, "Accept": "text/event-stream"}
        sent = {"chatId": chat, **body}
        return last_of(self.server.http.post("/api/chat", json=sent, headers=headers))

    def answer(self, asked: Body, *approve: bool, **more: Any) -> Body:
        """Answer the requests in a response, in order."""
        said = [response(one, yes) for one, yes in zip(requests(asked), approve, strict=False)]
        return self.say(asked["custom_outputs"]["thread_id"], said, **more)


def requests(body: Body) -> list[Body]:
    return [item for item in body["output"] if item["type"] == ASKED]


def response(asked: Body, approve: bool, **more: Any) -> Body:
    kind = {"type": "mcp_approval_response", "approval_request_id": asked["id"]}
    return {**kind, "approve": approve, **more}


def kinds(body: Body) -> list[str]:
    return [item["type"] for item in body["output"]]


def code(body: Body) -> str:
    return str(body["error"]["code"])
