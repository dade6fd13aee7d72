"""Questions that are asked again or edited: what they replace is kept beside the chat."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from agent_server.settings import has
from tests.agent import Agent
from tests.test_chat import OTHER, ask, chats, messages

SAID = "What did I say?"


def edit(agent: Agent, chat: str, message: str, replaces: str = "") -> httpx.Response:
    """Ask something else in place of the last question, or of another one."""
    last = [m["id"] for m in messages(agent, chat) if m["role"] == "user"][-1]
    body = {"chatId": chat, "message": message, "replaces": replaces or last}
    return agent.http.post("/api/chat", json=body, headers=agent.headers)


def earlier(agent: Agent, chat: str) -> list[Any]:
    """Return what the last question and its answer replaced."""
    last = [m["id"] for m in messages(agent, chat) if m["role"] == "user"][-1]
    path = f"/api/chats/{chat}/messages/{last}/earlier"
    answer = agent.http.get(path, headers=agent.headers)
    return list(answer.json()) if answer.status_code == 200 else []


def test_an_edited_question_takes_the_place_of_the_last_one(agent: Agent) -> None:
    chat = ask(agent, "first")
    ask(agent, "secnd", chat)
    assert edit(agent, chat, "second").status_code == 200
    asked = [m["content"] for m in messages(agent, chat) if m["role"] == "user"]
    assert asked == ["first", "second"] and len(messages(agent, chat)) == 4


@pytest.mark.skipif(not has("short_term"), reason="the model sees only the last question")
def test_the_model_does_not_see_what_was_edited(agent: Agent) -> None:
    chat = ask(agent, "My name is Eve")
    edit(agent, chat, "My name is Ada")
    ask(agent, SAID, chat)
    said = messages(agent, chat)[-1]["content"]
    assert "Ada" in said and "Eve" not in said


def test_what_was_replaced_is_kept_in_order(agent: Agent) -> None:
    chat = ask(agent, "one")
    edit(agent, chat, "two")
    ask(agent, "two", chat, trigger="regenerate-message")
    assert messages(agent, chat)[0]["earlier"] == 2
    kept = [(m["role"], m["content"]) for m in earlier(agent, chat)]
    assert [text for role, text in kept if role == "user"] == ["one", "two"]
    assert [role for role, _ in kept] == ["user", "assistant"] * 2


def test_only_the_last_question_can_be_edited(agent: Agent) -> None:
    chat = ask(agent, "first")
    first = messages(agent, chat)[0]["id"]
    ask(agent, "second", chat)
    refused = edit(agent, chat, "other", first)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "question_replaced")
    assert len(messages(agent, chat)) == 4 and earlier(agent, chat) == []


def test_nobody_edits_or_sees_what_another_user_replaced(agent: Agent) -> None:
    chat = ask(agent, "secret")
    edit(agent, chat, "public")
    last = messages(agent, chat)[0]["id"]
    path = f"/api/chats/{chat}/messages/{last}/earlier"
    assert agent.http.get(path, headers=OTHER).status_code == 404
    body = {"chatId": chat, "message": "mine", "replaces": last}
    assert agent.http.post("/api/chat", json=body, headers=OTHER).status_code == 404
    assert messages(agent, chat)[0]["content"] == "public"


def test_replaced_messages_count_for_the_limit_of_a_chat(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = ask(agent, "one")
    edit(agent, chat, "two")
    monkeypatch.setenv("MESSAGES_PER_CHAT", "4")
    assert edit(agent, chat, "three").status_code == 429


def test_they_go_with_their_chat(agent: Agent) -> None:
    chat = ask(agent, "secret words")
    edit(agent, chat, "hello")
    agent.http.delete(f"/api/chats/{chat}", headers=agent.headers)
    assert "secret words" not in agent.http.get("/api/me/export", headers=agent.headers).text


def test_a_search_finds_the_words_of_messages_and_shows_where(agent: Agent) -> None:
    chat = ask(agent, "hello")
    ask(agent, "My name is Ottilie", chat)
    ask(agent, "bread")
    found = chats(agent, search="ottil")
    assert [c["id"] for c in found] == [chat] and "Ottilie" in found[0]["excerpt"]
    assert chats(agent, search="& | ! ' :*") == []


def test_a_search_finds_nothing_of_anyone_else(agent: Agent) -> None:
    ask(agent, f"My name is Q{(name := uuid4().hex)}")
    found = agent.http.get("/api/chats", params={"search": f"q{name}"}, headers=OTHER)
    assert found.json() == []


def test_a_title_has_no_marks_of_markdown(agent: Agent) -> None:
    ask(agent, "## **Plan** my `week`\n\n- Monday")
    assert chats(agent)[0]["title"] == "Plan my week Monday"
