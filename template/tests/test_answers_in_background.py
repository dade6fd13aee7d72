"""The answers of a chat, each written whether or not anyone reads it."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.agent import Agent
from tests.test_chat import ask, messages

LONG, WHOLE = "/repeat 2000 every 20 ms", "/repeat 60 every 50 ms"


def begin(agent: Agent, message: str) -> tuple[str, str]:
    """Ask, and leave once the answer has begun; return the ids of the chat and of the response."""
    body = {"message": message, "chatId": str(uuid4())}
    with agent.http.stream("POST", "/api/chat", json=body, headers=agent.headers) as answer:
        next(answer.iter_text())
    return body["chatId"], found(agent, body["chatId"]).headers["x-response-id"]


def found(agent: Agent, chat: str) -> httpx.Response:
    return agent.http.get(f"/api/chats/{chat}/messages", headers=agent.headers)


def cancel(agent: Agent, response_id: str) -> Any:
    path = f"/responses/{response_id}/cancel"
    return agent.http.post(path, headers=agent.headers).json()


def until_kept(agent: Agent, chat: str) -> Any:
    deadline = time.monotonic() + 30
    while len(kept := messages(agent, chat)) == 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    return kept[-1]


def test_a_reader_who_leaves_finds_the_whole_answer(agent: Agent) -> None:
    chat, _ = begin(agent, WHOLE)
    kept = until_kept(agent, chat)
    assert not kept["partial"] and kept["content"].endswith("word60")
    assert "x-response-id" not in found(agent, chat).headers


def test_a_running_answer_can_be_followed(agent: Agent) -> None:
    chat, response_id = begin(agent, WHOLE)
    path = f"/responses/{response_id}?stream=true"
    events = agent.http.get(path, headers=agent.headers).text.split("\n\n")
    told = [json.loads(event.partition("data: ")[2]) for event in events[:-2]]
    assert told[-1]["type"] == "response.completed"
    assert "".join(event.get("delta", "") for event in told).endswith("word60")
    assert until_kept(agent, chat)["content"].endswith("word60")


def test_a_cancelled_answer_is_kept_as_partial(agent: Agent) -> None:
    chat, response_id = begin(agent, LONG)
    assert cancel(agent, response_id)["status"] == "cancelled"
    kept = messages(agent, chat)[-1]
    assert kept["partial"] and kept["content"].startswith("word1")


def test_a_cancelled_answer_can_be_asked_for_again(agent: Agent) -> None:
    chat, response_id = begin(agent, LONG)
    cancel(agent, response_id)
    ask(agent, "hello", chat, trigger="regenerate-message")
    kept = messages(agent, chat)
    assert [(m["role"], m["partial"]) for m in kept] == [("user", False), ("assistant", False)]


def test_a_second_question_is_refused_while_one_is_answered(agent: Agent) -> None:
    chat, response_id = begin(agent, LONG)
    body = {"message": "hello", "chatId": chat}
    answer = agent.http.post("/api/chat", json=body, headers=agent.headers)
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "1")
    assert [m["content"] for m in messages(agent, chat)] == [LONG]
    cancel(agent, response_id)


def test_a_question_is_not_replaced_while_it_is_answered(agent: Agent) -> None:
    chat, response_id = begin(agent, LONG)
    body = {"message": "hello", "chatId": chat, "trigger": "regenerate-message"}
    assert agent.http.post("/api/chat", json=body, headers=agent.headers).status_code == 409
    cancel(agent, response_id)
    kept = messages(agent, chat)
    assert (kept[0]["content"], kept[1]["partial"]) == (LONG, True)


def test_of_two_that_replace_an_answer_at_once_one_does(agent: Agent) -> None:
    question = "/repeat 20 every 30 ms"
    body = {"message": question, "chatId": ask(agent, question), "trigger": "regenerate-message"}
    with ThreadPoolExecutor() as pool:
        posts = [
            pool.submit(agent.http.post, "/api/chat", json=body, headers=agent.headers)
            for _ in range(2)
        ]
        assert sorted(post.result().status_code for post in posts) == [200, 409]
    assert [m["role"] for m in messages(agent, body["chatId"])] == ["user", "assistant"]


def test_a_run_that_waits_for_the_users_other_runs_says_so(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKGROUND_RUNS_AT_ONCE_PER_USER", "1")
    _, running = begin(agent, LONG)
    body = {"input": "hello", "background": True}
    waiting = agent.post(body).json()["id"]
    assert (
        agent.http.get(f"/responses/{waiting}", headers=agent.headers).json()["status"] == "queued"
    )
    cancel(agent, running)
    path = f"/responses/{waiting}?stream=true"
    events = agent.http.get(path, headers=agent.headers).text
    assert "event: response.queued" in events and "event: response.completed" in events


@pytest.mark.parametrize("action", ["", "?stream=true"])
def test_nobody_else_can_follow_an_answer(agent: Agent, action: str) -> None:
    _, response_id = begin(agent, LONG)
    other = {"X-Forwarded-User": "mallory@example.com"}
    path = f"/responses/{response_id}{action}"
    assert agent.http.get(path, headers=other).status_code == 404
    cancel(agent, response_id)


def test_a_background_response_without_a_chat_creates_none(agent: Agent) -> None:
    body = {"input": "hello", "background": True, "stream": True}
    agent.http.post("/responses", json=body, headers=agent.headers)
    assert agent.http.get("/api/chats", headers=agent.headers).json() == []
