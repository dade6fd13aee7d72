"""What Databricks' own chat UI sends to an agent: a client of the Responses API, with its history.

Read off `e2e-chatbot-app-next` in databricks/app-templates and what it calls the agent with, the
package @databricks/ai-sdk-provider 0.5.1: it sends the whole conversation with each turn, as it was
told, and decides on a call by resending that conversation with the answer at its end. A refusal is
sent with the next question only.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

Body = dict[str, Any]
ASKED, ANSWER = "mcp_approval_request", "mcp_approval_response"
# What it sends back of an item that it was told; of messages, see `_resent`.
KEPT = {
    "function_call": ("type", "call_id", "name", "arguments", "id"),
    "function_call_output": ("type", "call_id", "output"),
    "reasoning": ("type", "summary", "id"),
    ASKED: ("type", "id", "name", "arguments", "server_label"),
}


@dataclass
class ChatUi:
    """One conversation in the UI, of one user."""

    http: httpx.Client
    headers: Mapping[str, str]
    id: str = field(default_factory=lambda: str(uuid4()))
    history: list[Body] = field(default_factory=list)

    def say(self, text: str, stream: bool = True) -> httpx.Response:
        """Ask a question."""
        self.history.append({"role": "user", "content": [{"type": "input_text", "text": text}]})
        return self.send(stream)

    def decide(self, approve: bool) -> httpx.Response | None:
        """Press Allow or Deny for the first call that waits; after Deny nothing is sent."""
        answered = [item["id"] for item in self.history if item.get("type") == ANSWER]
        asked = [item["id"] for item in self.history if item.get("type") == ASKED]
        waiting = next(one for one in asked if one not in answered)
        said = {"id": waiting, "approval_request_id": waiting, "approve": approve}
        # Behind all that the same answer asked for.
        last = max(i for i, item in enumerate(self.history) if item.get("id") in asked)
        self.history.insert(last + 1, {"type": ANSWER, **said})
        return self.send() if approve else None

    def send(self, stream: bool = True) -> httpx.Response:
        """Send the conversation as it is, and keep what is told."""
        answer = self.http.post("/invocations", json=self.body(stream), headers=self._headers())
        if answer.status_code == 200:
            told = _streamed(answer) if stream else answer.json()["output"]
            known = {item.get("id") for item in self.history} - {None}
            # What is asked once more, it has already.
            self.history += [_resent(item) for item in told if item["id"] not in known]
        return answer

    def body(self, stream: bool) -> Body:
        """Return what it sends."""
        context = {"conversation_id": self.id, "user_id": "eve@example.com"}
        options = {"return_trace": True}
        body = {"model": "chat-model", "input": self.history, "databricks_options": options}
        return {**body, "context": context, **({"stream": True} if stream else {})}

    def title(self, text: str) -> httpx.Response:
        """Ask for a title of the conversation, in none: the UI does so beside the first turn."""
        asked = [
            {"role": "system", "content": "Generate a short title, without quotes."},
            {"role": "user", "content": [{"type": "input_text", "text": json.dumps(text)}]},
        ]
        body = {"model": "title-model", "input": asked}
        return self.http.post("/invocations", json=body, headers=self._headers())

    def _headers(self) -> dict[str, str]:
        return {**self.headers, "x-mlflow-return-trace-id": "true"}


def _streamed(answer: httpx.Response) -> list[Body]:
    """Return the items of a stream: it reads those that are done, and nothing of the last event."""
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    events = [json.loads(line) for line in lines]
    return [one["item"] for one in events if one["type"] == "response.output_item.done"]


def _resent(item: Body) -> Body:
    if item["type"] == "message":
        text = "".join(part["text"] for part in item["content"])
        said = [{"type": "output_text", "text": text}]
        return {"role": "assistant", "content": said, "id": item["id"]}
    return {name: item[name] for name in KEPT[item["type"]]}
