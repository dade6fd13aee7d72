"""The chats of a user: what the page shows, and what any client may rely on."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.agent import Agent, needs_sample_tool

OTHER = {"X-Forwarded-User": "mallory@example.com"}
SSE = {"Accept": "text/event-stream"}


def ask(agent: Agent, message: str, chat: str | None = None, **more: Any) -> str:
    """Ask in a chat, and return its id."""
    body = {"message": message, **({"chatId": chat} if chat else {}), **more}
    answer = agent.http.post("/api/chat", json=body, headers=agent.headers)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-chat-id"]


def messages(agent: Agent, chat: str) -> list[Any]:
    answer = agent.http.get(f"/api/chats/{chat}/messages", headers=agent.headers)
    assert answer.status_code == 200, answer.text
    return list(answer.json())


def test_a_chat_is_answered_as_text_and_kept(agent: Agent) -> None:
    answer = agent.http.post("/api/chat", json={"message": "hello"}, headers=agent.headers)
    assert answer.headers["content-type"].startswith("text/plain")
    kept = messages(agent, answer.headers["x-chat-id"])
    assert [(m["role"], m["partial"]) for m in kept] == [("user", False), ("assistant", False)]
    assert kept[1]["content"] == answer.text


def test_a_chat_streams_events_to_a_client_that_accepts_them(agent: Agent) -> None:
    headers = {**agent.headers, **SSE}
    answer = agent.http.post("/api/chat", json={"message": "hello"}, headers=headers)
    assert "event: response.completed" in answer.text
    assert answer.text.endswith("data: [DONE]\n\n")


def test_the_last_question_of_the_ai_sdk_counts(agent: Agent) -> None:
    texts = [("user", "one"), ("assistant", "ok"), ("user", "two")]
    sent = [{"role": role, "parts": [{"type": "text", "text": text}]} for role, text in texts]
    answer = agent.http.post("/api/chat", json={"messages": sent}, headers=agent.headers)
    kept = messages(agent, answer.headers["x-chat-id"])
    assert [m["content"] for m in kept if m["role"] == "user"] == ["two"]


def test_an_image_is_kept_with_its_question(agent: Agent) -> None:
    image = {"mediaType": "image/png", "url": "data:image/png;base64,iVBORw0K", "filename": "a.png"}
    part = {"type": "file", **image}
    sent = {"messages": [{"role": "user", "parts": [part, {"type": "text", "text": "hello"}]}]}
    answer = agent.http.post("/api/chat", json=sent, headers=agent.headers)
    assert [m["files"] for m in messages(agent, answer.headers["x-chat-id"])] == [[part], []]


@needs_sample_tool
def test_a_tool_call_is_kept_with_its_result(agent: Agent) -> None:
    kept = messages(agent, ask(agent, "What time is it?"))
    assert [m["role"] for m in kept] == ["user", "tool", "assistant"]
    call = json.loads(kept[1]["content"])
    assert call["name"] == "get_current_time" and call["output"]


def test_a_retry_replaces_the_last_question_and_answer(agent: Agent) -> None:
    chat = ask(agent, "first")
    ask(agent, "second", chat)
    ask(agent, "second", chat, trigger="regenerate-message")
    said = [m["content"] for m in messages(agent, chat) if m["role"] == "user"]
    assert said == ["first", "second"]
    assert len(messages(agent, chat)) == 4


def test_chats_are_found_by_title_and_listed_latest_first(agent: Agent) -> None:
    first, second = ask(agent, "apples and pears"), ask(agent, "bread")
    ask(agent, "and more", first)
    assert [c["id"] for c in chats(agent)] == [first, second]
    assert [c["title"] for c in chats(agent, search="PEARS")] == ["apples and pears"]
    assert chats(agent, search="%") == []


def test_the_link_of_a_list_leads_to_its_next_page(agent: Agent) -> None:
    asked = [ask(agent, f"chat {number}") for number in range(3)]
    found, url = [], "/api/chats?limit=2"
    while url:
        page = agent.http.get(url, headers=agent.headers)
        found += [chat["id"] for chat in page.json()]
        url = page.links.get("next", {}).get("url", "")
    assert found == asked[::-1]


def test_the_link_of_messages_leads_to_older_ones(agent: Agent) -> None:
    chat = ask(agent, "one")
    ask(agent, "two", chat)
    last = agent.http.get(f"/api/chats/{chat}/messages?limit=2", headers=agent.headers)
    first = agent.http.get(last.links["prev"]["url"], headers=agent.headers)
    assert [m["content"] for m in (first.json()[0], last.json()[0])] == ["one", "two"]


def test_a_chat_is_renamed_and_deleted(agent: Agent) -> None:
    chat = ask(agent, "hello")
    path, who = f"/api/chats/{chat}", agent.headers
    agent.http.patch(path, json={"title": "Greetings"}, headers=who)
    assert [c["title"] for c in chats(agent)] == ["Greetings"]
    assert agent.http.delete(path, headers=who).status_code == 204
    assert agent.http.get(f"{path}/messages", headers=who).status_code == 404
    assert chats(agent) == []


def test_another_users_chat_is_a_404(agent: Agent) -> None:
    chat = ask(agent, "secret")
    for method, path, body in routes(chat):
        answers = [
            agent.http.request(method, p, json=body, headers=OTHER)
            for p in (path, path.replace(chat, str(uuid4())))
        ]
        assert {a.status_code for a in answers} == {404}, path
        assert answers[0].json() == answers[1].json()
    assert messages(agent, chat)[0]["content"] == "secret"


def test_nobody_can_write_to_another_users_chat(agent: Agent) -> None:
    chat = ask(agent, "secret")
    body = {"chatId": chat, "message": "let me in"}
    assert agent.http.post("/api/chat", json=body, headers=OTHER).status_code == 404
    assert len(messages(agent, chat)) == 2


def test_a_user_with_too_many_chats_is_told_to_delete_some(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATS_PER_USER", "1")
    chat = ask(agent, "hello")
    refused = agent.http.post("/api/chat", json={"message": "more"}, headers=agent.headers)
    assert refused.status_code == 429 and refused.headers["retry-after"]
    assert "1 chats" in refused.text and len(chats(agent)) == 1
    ask(agent, "goes on", chat)


def test_a_full_chat_takes_no_more_messages(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESSAGES_PER_CHAT", "2")
    body = {"message": "more", "chatId": ask(agent, "hello")}
    refused = agent.http.post("/api/chat", json=body, headers=agent.headers)
    assert refused.status_code == 429 and "Begin another chat" in refused.text
    assert len(messages(agent, body["chatId"])) == 2


@pytest.mark.parametrize(
    "body",
    [{}, {"message": ""}, {"message": " "}, {"message": "a\x00"}, {"messages": []},
     {"chatId": "1", "message": "a"}, {"message": 7}],
    ids=json.dumps,
)  # fmt: skip
def test_a_malformed_question_is_a_400_and_leaves_no_chat(agent: Agent, body: Any) -> None:
    answer = agent.http.post("/api/chat", json=body, headers=agent.headers)
    assert answer.status_code == 400, answer.text
    assert chats(agent) == []


def routes(chat: str) -> list[tuple[str, str, Any]]:
    return [
        ("GET", f"/api/chats/{chat}/messages", None),
        ("PATCH", f"/api/chats/{chat}", {"title": "mine"}),
        ("DELETE", f"/api/chats/{chat}", None),
    ]


def chats(agent: Agent, **query: str) -> list[Any]:
    return list(agent.http.get("/api/chats", params=query, headers=agent.headers).json())
