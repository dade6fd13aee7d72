"""No route shows, changes or deletes what belongs to another user.

Eve tries every route of /openapi.json, those that you add too, with every id of Ada's.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import httpx
import pytest

from agent_server.identity import User
from agent_server.settings import has
from tests.agent import Agent
from tests.rows import Rows, added_since, insert, rows

SECRET = "heliotrope"
CURIOUS = "What did I say? What do you know about me?"
# Names that a pattern, a prefix or a path might take for Ada's.
NAMES = ["{}.eve", "{}/thread-of-ada", "x{}", "%{}"]
PLACE = re.compile(r"\{(\w+)[^}]*\}")  # of an id, in a path
OF_NOBODY = {"turn_leases", "schema_versions"}


Ids = dict[str, str]


def live(ada: Agent) -> Ids:
    """Say the secret wherever there is memory; return the ids that this made, by their names."""
    ada.ask(f"Remember that I like {SECRET}", thread="thread-of-ada")
    ids = {"thread_id": "thread-of-ada", **_chat(ada), **_approval(ada)}
    body = {"input": f"I like {SECRET}", "background": True, "stream": True}
    if found := re.search(r'"(resp_\w+)"', ada.post(body).text):
        ids["response_id"] = found[1]
    memories = ada.http.get("/api/memories", headers=ada.headers)
    for memory in memories.json() if memories.is_success else ():
        ids["memory_key"] = memory["memory_key"]
    return ids


def _chat(ada: Agent) -> Ids:
    """Have a chat whose answer is replaced and judged."""
    body, headers = {"message": f"I like {SECRET}"}, ada.headers
    answer = ada.http.post("/api/chat", json=body, headers=headers)
    if not (chat := answer.headers.get("x-chat-id")):
        return {}
    again = {**body, "chatId": chat, "trigger": "regenerate-message"}
    ada.http.post("/api/chat", json=again, headers=headers)
    question, *_, said = ada.http.get(f"/api/chats/{chat}/messages", headers=headers).json()
    judged = {"message_id": said["id"], "value": True, "comment": SECRET}
    assert ada.http.post("/api/feedback", json=judged, headers=headers).status_code == 204
    return {"chat_id": chat, "question_id": question["id"], "message_id": said["id"]}


def _approval(ada: Agent) -> Ids:
    """Have a call that waits for an approval."""
    if not has("short_term"):
        return {}
    name, thread = f"mcpr_{uuid4().hex}", User(ada.user).thread_key("thread-of-ada")
    insert("approvals", name, ada.user, thread, "0", "send", json.dumps(SECRET), "a place")
    return {"approval": name}


def tries(http: httpx.Client, ids: Ids) -> Iterator[dict[str, Any]]:
    """Yield requests for each route: with one of the ids wherever it takes one, and with all."""
    right = defaultdict(lambda: ids["thread_id"], ids)
    for path, methods in http.get("/openapi.json").json()["paths"].items():
        for method in methods:
            request = {"method": method.upper(), "params": {"stream": "true", "search": SECRET}}
            takes = PLACE.search(path) or method not in ("get", "delete")
            for found in ids.values() if takes else ():
                named = defaultdict(str, dict.fromkeys([*PLACE.findall(path), *ids], found))
                yield {**request, "url": _path(path, named), **_sent(method, bodies(named)[0])}
            for body in bodies(right) if method in ("post", "patch") else [{}]:
                yield {**request, "url": _path(path, right), **_sent(method, body)}


def bodies(ids: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what may be sent: a question, an edited one, an approval, a judgement."""
    thread, chat = ids["thread_id"], {"chatId": ids["chat_id"]}
    named = {
        "custom_inputs": {"thread_id": thread, "session_id": thread},
        "context": {"conversation_id": thread},
    }
    judged = {"value": False, "comment": CURIOUS}
    said = {"input": CURIOUS, "message": CURIOUS, "title": "Eve's", **chat}
    answer = {"type": "mcp_approval_response", "approval_request_id": ids["approval"]}
    return [
        {**named, **said, **judged, "message_id": ids["message_id"]},
        {**chat, "message": CURIOUS, "replaces": ids["question_id"]},
        {**chat, "approval": {"id": ids["approval"], "approve": True}},
        {**named, "input": [{**answer, "approve": True}]},
        {**judged, "response_id": ids["response_id"]},
    ]


def _path(path: str, ids: Mapping[str, str]) -> str:
    return PLACE.sub(lambda found: ids[found[1]], path)


def _sent(method: str, body: dict[str, Any]) -> dict[str, Any]:
    return {} if method in ("get", "delete") else {"json": body}


def of_ada(before: Rows) -> Rows:
    """Return the rows that were added, if they belong to anybody."""
    return {name: found for name, found in added_since(before).items() if name not in OF_NOBODY}


@pytest.mark.parametrize("name", NAMES)
def test_nobody_sees_or_changes_what_is_anothers(agent: Agent, name: str) -> None:
    before = rows()
    ids = live(agent)
    held = of_ada(before)
    eve = {"X-Forwarded-User": name.format(agent.user)}
    for request in tries(agent.http, ids):
        answer = agent.http.request(**request, headers=eve)
        text = answer.text
        for known in ids.values():
            text = text.replace(known, "")
        assert SECRET not in text, request
        assert answer.status_code != 500, request
    now = rows()
    changed = {table: found - now[table] for table, found in held.items()}
    assert not any(changed.values()), json.dumps({t: sorted(f) for t, f in changed.items()})
