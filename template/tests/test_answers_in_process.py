"""The answers of a chat, which go on whether or not anyone reads them."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from tests.agent import Agent
from tests.test_chat import messages

LONG = "/repeat 2000 every 20 ms"
SLOW = "/repeat 2 every 5000 ms"
SHORT = "/repeat 20 every 30 ms"
SSE = {"Accept": "text/event-stream"}


def begin(agent: Agent, message: str, **more: str) -> str:
    """Ask in a new chat, read a first word, and leave; return the chat's id."""
    chat = str(uuid4())
    body = {"message": message, "chatId": chat, **more}
    with agent.http.stream("POST", "/api/chat", json=body, headers=agent.headers) as answer:
        next(answer.iter_text())
    return chat


def running(agent: Agent, chat: str) -> str | None:
    answer = agent.http.get(f"/api/chats/{chat}/messages", headers=agent.headers)
    response_id: str | None = answer.headers.get("x-response-id")
    return response_id


def stop(agent: Agent, chat: str) -> None:
    path = f"/api/chats/{chat}/stop"
    assert agent.http.post(path, json={}, headers=agent.headers).status_code == 204


def until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_answer_whose_reader_leaves_is_written_to_its_end(agent: Agent) -> None:
    chat = begin(agent, SHORT)
    assert running(agent, chat)
    until(lambda: not running(agent, chat))
    kept = messages(agent, chat)[-1]
    assert kept["content"].endswith("word20") and not kept["partial"]


def test_an_answer_can_be_followed_from_any_event_on(agent: Agent) -> None:
    chat = begin(agent, SHORT)
    path = f"/api/chats/{chat}/answer?response_id={running(agent, chat)}"

    def follow(after: int) -> str:
        return agent.http.get(f"{path}&starting_after={after}", headers=agent.headers).text

    with ThreadPoolExecutor() as pool:
        whole, rest = pool.map(follow, (-1, 3))
    assert whole.endswith(rest) and '"sequence_number": 4,' in rest.split("\n\n")[0]
    assert "event: response.completed" in rest and rest.endswith("data: [DONE]\n\n")


def test_an_answer_that_is_not_being_written_is_a_204(agent: Agent) -> None:
    chat = begin(agent, SHORT)
    path, response_id = f"/api/chats/{chat}/answer", running(agent, chat)
    until(lambda: not running(agent, chat))
    for named in (response_id, "resp_other"):
        answer = agent.http.get(path, params={"response_id": named}, headers=agent.headers)
        assert (answer.status_code, answer.content) == (204, b"")


def test_a_stopped_answer_is_kept_as_partial(agent: Agent) -> None:
    chat = begin(agent, LONG)
    stop(agent, chat)
    assert not running(agent, chat)
    kept = messages(agent, chat)[-1]
    assert kept["partial"] and kept["content"].startswith("word1")


def test_a_stop_ends_the_stream_of_every_reader(agent: Agent) -> None:
    body, headers = {"message": LONG, "chatId": (chat := str(uuid4()))}, {**agent.headers, **SSE}
    with agent.http.stream("POST", "/api/chat", json=body, headers=headers) as answer:
        lines = answer.iter_lines()
        next(lines)
        stop(agent, chat)
        assert any('"code": "stopped"' in line for line in lines)


def test_a_stop_before_the_first_word_ends_a_stream_of_events_and_refuses_text(
    agent: Agent,
) -> None:
    for headers, status in (({**agent.headers, **SSE}, 200), (agent.headers, 409)):
        body = {"message": SLOW, "chatId": (chat := str(uuid4()))}
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(agent.http.post, "/api/chat", json=body, headers=headers)
            until(lambda: agent.http.get("/api/chats", headers=agent.headers).json())
            stop(agent, chat)
        assert asked.result().status_code == status and '"stopped"' in asked.result().text
        agent.http.delete(f"/api/chats/{chat}", headers=agent.headers)


def test_a_stop_where_nothing_is_running_changes_nothing(agent: Agent) -> None:
    chat = begin(agent, SHORT)
    until(lambda: not running(agent, chat))
    before = messages(agent, chat)
    stop(agent, chat)
    assert messages(agent, chat) == before


def test_nobody_else_can_follow_or_stop_an_answer(agent: Agent) -> None:
    chat, eve = begin(agent, SHORT), {"X-Forwarded-User": "eve@example.com"}
    path = f"/api/chats/{chat}/answer?response_id={running(agent, chat)}"
    assert agent.http.get(path, headers=eve).status_code == 404
    assert agent.http.post(f"/api/chats/{chat}/stop", json={}, headers=eve).status_code == 404
    until(lambda: not running(agent, chat))
    assert not messages(agent, chat)[-1]["partial"]


def test_a_question_waits_until_the_last_one_is_answered_and_may_then_replace_it(
    agent: Agent,
) -> None:
    chat = begin(agent, LONG)
    again = {"message": "hello", "chatId": chat, "trigger": "regenerate-message"}
    with ThreadPoolExecutor() as pool:
        second = pool.submit(agent.http.post, "/api/chat", json=again, headers=agent.headers)
        time.sleep(0.5)
        assert [m["content"] for m in messages(agent, chat)] == [LONG]
        stop(agent, chat)
        assert second.result().status_code == 200
    assert [m["role"] for m in messages(agent, chat)] == ["user", "assistant"]


def test_of_two_that_replace_an_answer_at_once_one_does(agent: Agent) -> None:
    body = {"message": SHORT, "chatId": str(uuid4())}
    agent.http.post("/api/chat", json=body, headers=agent.headers)
    again = {**body, "trigger": "regenerate-message"}
    with ThreadPoolExecutor() as pool:
        posts = [
            pool.submit(agent.http.post, "/api/chat", json=again, headers=agent.headers)
            for _ in range(2)
        ]
        assert sorted(post.result().status_code for post in posts) == [200, 409]
    assert [m["role"] for m in messages(agent, body["chatId"])] == ["user", "assistant"]
