"""The answers of a chat, each written only while it is read."""

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from tests.agent import Agent
from tests.test_chat import messages

LONG = "/repeat 2000 every 20 ms"


def test_an_answer_whose_reader_leaves_is_kept_as_partial(agent: Agent) -> None:
    chat = str(uuid4())
    body = {"message": LONG, "chatId": chat}
    with agent.http.stream("POST", "/api/chat", json=body, headers=agent.headers) as answer:
        next(answer.iter_text())
    deadline = time.monotonic() + 30
    while len(kept := messages(agent, chat)) == 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert kept[-1]["partial"] and kept[-1]["content"].startswith("word1")


def test_a_question_waits_until_the_last_one_is_answered_and_may_then_replace_it(
    agent: Agent,
) -> None:
    chat = str(uuid4())
    body = {"message": LONG, "chatId": chat}
    with agent.http.stream("POST", "/api/chat", json=body, headers=agent.headers) as answer:
        words = answer.iter_text()  # a reference, which keeps the reader connected
        next(words)
        again = {"message": "hello", "chatId": chat, "trigger": "regenerate-message"}
        with ThreadPoolExecutor() as pool:
            second = pool.submit(agent.http.post, "/api/chat", json=again, headers=agent.headers)
            time.sleep(0.5)
            assert [m["content"] for m in messages(agent, chat)] == [LONG]
            answer.close()
            assert second.result().status_code == 200
    assert [m["role"] for m in messages(agent, chat)] == ["user", "assistant"]


def test_of_two_that_replace_an_answer_at_once_one_does(agent: Agent) -> None:
    question = "/repeat 20 every 30 ms"
    body = {"message": question, "chatId": str(uuid4())}
    agent.http.post("/api/chat", json=body, headers=agent.headers)
    again = {**body, "trigger": "regenerate-message"}
    with ThreadPoolExecutor() as pool:
        posts = [
            pool.submit(agent.http.post, "/api/chat", json=again, headers=agent.headers)
            for _ in range(2)
        ]
        assert sorted(post.result().status_code for post in posts) == [200, 409]
    assert [m["role"] for m in messages(agent, body["chatId"])] == ["user", "assistant"]


def test_an_answer_stored_while_its_question_is_replaced_is_not_kept(agent: Agent) -> None:
    chat = str(uuid4())
    body = {"message": LONG, "chatId": chat}
    with agent.http.stream("POST", "/api/chat", json=body, headers=agent.headers) as answer:
        next(answer.iter_text())
    again = {"message": "hello", "chatId": chat, "trigger": "regenerate-message"}
    second = agent.http.post("/api/chat", json=again, headers=agent.headers)
    assert second.status_code == 200
    assert [m["role"] for m in messages(agent, chat)] == ["user", "assistant"]
