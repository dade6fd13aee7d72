"""How the tests talk to the agent."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from agent_server.settings import ROOT

needs_sample_tool = pytest.mark.skipif(
    "get_current_time" not in (ROOT / "agent_server" / "tools.py").read_text("utf-8"),
    reason="agent_server/tools.py no longer has get_current_time",
)


@dataclass
class Agent:
    """One user's client of the running server."""

    http: httpx.Client
    user: str

    @property
    def headers(self) -> dict[str, str]:
        """The headers that Databricks Apps adds to this user's requests."""
        return {"X-Forwarded-User": self.user}

    def post(self, body: Any, **headers: str) -> httpx.Response:
        """Send `body` to /responses as this user."""
        return self.http.post("/responses", json=body, headers={**self.headers, **headers})

    def ask(self, question: str | list[Any], thread: str | None = None) -> str:
        """Return the text of the answer to `question`."""
        inputs = {"thread_id": thread} if thread else {}
        response = self.post({"input": question, "custom_inputs": inputs})
        assert response.status_code == 200, response.text
        return text_of(response.json())


def text_of(response: dict[str, Any]) -> str:
    """Return the text of a response's messages."""
    messages = [item for item in response["output"] if item["type"] == "message"]
    return "".join(part["text"] for item in messages for part in item["content"])
