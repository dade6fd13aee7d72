"""What the app stores about a user can be seen, exported and deleted, table by table."""

from uuid import uuid4

import pytest

from agent_server import settings
from agent_server.identity import User
from tests.agent import Agent
from tests.rows import insert, rows

# Tables with nothing about a user: the versions of tables, and the leases of turns, which are
# released when the turn ends.
MIGRATIONS = {"checkpoint_migrations", "store_migrations", "vector_migrations"}
OF_NOBODY = {*MIGRATIONS, "schema_versions", "turn_leases"}


def live(agent: Agent) -> None:
    """Store something in every table."""
    for message in ("Remember that I like teal", "hello"):
        answer = agent.http.post("/api/chat", json={"message": message}, headers=agent.headers)
        assert answer.status_code == 200, answer.text
    chat = answer.headers["x-chat-id"]
    again = {"message": "hello", "chatId": chat, "trigger": "regenerate-message"}
    agent.http.post("/api/chat", json=again, headers=agent.headers)
    said = agent.http.get(f"/api/chats/{chat}/messages", headers=agent.headers).json()
    judged = {"message_id": said[-1]["id"], "value": True}
    agent.http.post("/api/feedback", json=judged, headers=agent.headers)
    agent.ask("What time is it?", thread="t")
    if settings.has("short_term"):  # which an agent writes only if its owner wants it to
        thread = User(agent.user).thread_key("t")
        insert("thread_summaries", thread, "Likes teal", "a hash")
        insert("approvals", str(uuid4()), agent.user, thread, "0", "send", "{}", "a place")
        if "session_agents" in rows():
            insert("session_agents", thread, "1", "Refunds")
    # A 400, and nothing stored, in an agent without background responses.
    agent.post({"input": "hello", "background": True, "stream": True})


def test_forgetting_me_leaves_no_row_in_any_table(agent: Agent) -> None:
    before = rows()
    live(agent)
    during = rows()
    full = {name for name in during if during[name] - before[name]}
    assert full == set(during) - OF_NOBODY
    assert agent.http.delete("/api/me", headers=agent.headers).status_code == 204
    assert rows() == before


def test_a_turn_that_runs_while_i_am_forgotten_leaves_nothing(agent: Agent) -> None:
    before = rows()
    body = {"message": "/repeat 2000 every 20 ms"}
    with agent.http.stream("POST", "/api/chat", json=body, headers=agent.headers) as answer:
        next(answer.iter_text())
        assert agent.http.delete("/api/me", headers=agent.headers).status_code == 204
        left = rows()
    assert left == before


def test_an_export_holds_every_row_of_every_table(agent: Agent) -> None:
    before = rows()
    live(agent)
    during = rows()
    export = agent.http.get("/api/me/export", headers=agent.headers).json()
    counts = {name: len(during[name] - before[name]) for name in set(during) - OF_NOBODY}
    assert {name: len(export[name]) for name in counts} == counts
    assert "teal" in str(export)


@pytest.mark.parametrize("name", ["{}.eve", "{}/t", "memories", "%"])
def test_nobody_else_is_forgotten_or_exported(agent: Agent, name: str) -> None:
    live(agent)
    other = {"X-Forwarded-User": name.format(agent.user)}
    before = rows()
    assert agent.http.delete("/api/me", headers=other).status_code == 204
    assert rows() == before
    export = agent.http.get("/api/me/export", headers=other).json()
    assert not any(export.values())


def test_deleting_a_chat_deletes_its_thread_and_no_other(agent: Agent) -> None:
    live(agent)
    before = rows()
    answer = agent.http.post("/api/chat", json={"message": "hello"}, headers=agent.headers)
    chat = answer.headers["x-chat-id"]
    assert agent.http.delete(f"/api/chats/{chat}", headers=agent.headers).status_code == 204
    assert rows() == before


def test_me_names_the_user_and_the_stand_in(agent: Agent) -> None:
    me = agent.http.get("/api/me", headers=agent.headers).json()
    assert me["user"] == agent.user and me["offline"] is True
