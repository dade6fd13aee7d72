"""No route shows, changes or deletes what belongs to another user.

Eve tries every route of /openapi.json, those that you add too, with every id of Ada's.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.agent import Agent
from tests.rows import Rows, added_since, rows

SECRET = "heliotrope"
CURIOUS = "What did I say? What do you know about me?"
# Names that a pattern, a prefix or a path might take for Ada's.
NAMES = ["{}.eve", "{}/thread-of-ada", "x{}", "%{}"]
OF_NOBODY = {"turn_leases", "schema_versions"}


def live(ada: Agent) -> list[str]:
    """Say the secret wherever there is memory; return the ids that this made."""
    ada.ask(f"Remember that I like {SECRET}", thread="thread-of-ada")
    ids, headers = ["thread-of-ada"], ada.headers
    chat = ada.http.post("/api/chat", json={"message": f"I like {SECRET}"}, headers=headers)
    if "x-chat-id" in chat.headers:
        ids.append(chat.headers["x-chat-id"])
    body = {"input": f"I like {SECRET}", "background": True, "stream": True}
    ids += sorted(set(re.findall(r'"(resp_\w+)"', ada.post(body).text)))
    memories = ada.http.get("/api/memories", headers=headers)
    return ids + [found["memory_key"] for found in memories.json() if memories.is_success]


def tries(http: httpx.Client, ids: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each of the ids with a request for each route, in whose path and body it is."""
    for path, methods in http.get("/openapi.json").json()["paths"].items():
        for method in methods:
            for found in ids:
                url = re.sub(r"\{[^}]*\}", found, path)
                place = dict.fromkeys(("thread_id", "session_id"), found)
                named = {"custom_inputs": place, "context": {"conversation_id": found}}
                said = {"input": CURIOUS, "message": CURIOUS, "title": "Eve's", "chatId": found}
                body = {**named, **said}
                request = {"method": method.upper(), "url": url, "params": {"stream": "true"}}
                more = {} if method in ("get", "delete") else {"json": body}
                yield found, {**request, **more}


def of_ada(before: Rows) -> Rows:
    """Return the rows that were added, if they belong to anybody."""
    return {name: found for name, found in added_since(before).items() if name not in OF_NOBODY}


@pytest.mark.parametrize("name", NAMES)
def test_nobody_sees_or_changes_what_is_anothers(agent: Agent, name: str) -> None:
    before = rows()
    ids = live(agent)
    held = of_ada(before)
    eve = {"X-Forwarded-User": name.format(agent.user)}
    for known, request in tries(agent.http, ids):
        answer = agent.http.request(**request, headers=eve)
        assert SECRET not in answer.text.replace(known, ""), request
        assert answer.status_code != 500, request
    now = rows()
    changed = {table: found - now[table] for table, found in held.items()}
    assert not any(changed.values()), json.dumps({t: sorted(f) for t, f in changed.items()})
