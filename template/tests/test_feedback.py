"""What users think of answers."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.agent import Agent
from tests.test_chat import OTHER, ask, messages


def judge(agent: Agent, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return agent.http.post("/api/feedback", json=body, headers=headers or agent.headers)


def given(agent: Agent) -> list[Any]:
    """Return the values and comments of all that the user gave, latest first."""
    listed = agent.http.get("/api/feedback", headers=agent.headers).json()
    return [(each["value"], each["comment"]) for each in listed]


def test_an_answer_is_judged_once_by_its_message_or_its_response(agent: Agent) -> None:
    question, answer = messages(agent, ask(agent, "hello"))
    assert judge(agent, message_id=answer["id"], value=True).status_code == 204
    response_id = f"resp_{question['id'].replace('-', '')}"
    assert judge(agent, response_id=response_id, value=False, comment="No.").status_code == 204
    assert given(agent) == [(False, "No.")]


def test_a_thumb_can_be_taken_back(agent: Agent) -> None:
    chat = ask(agent, "hello")
    answer = messages(agent, chat)[1]["id"]
    judge(agent, message_id=answer, value=True)
    assert messages(agent, chat)[0]["liked"] is True
    judge(agent, message_id=answer, value=None)
    assert given(agent) == [(None, "")] and messages(agent, chat)[0]["liked"] is None


def test_what_is_not_yours_and_what_is_not_there_are_the_same_404(agent: Agent) -> None:
    question, answer = messages(agent, ask(agent, "hello"))
    for named in (
        {"message_id": answer["id"]}, {"response_id": f"resp_{question['id']}"},
        {"message_id": str(uuid4())}, {"response_id": "resp_1"},
    ):  # fmt: skip
        assert judge(agent, OTHER, value=True, **named).status_code == 404
    assert given(agent) == []


def test_a_question_is_no_answer(agent: Agent) -> None:
    question, _ = messages(agent, ask(agent, "hello"))
    assert judge(agent, message_id=question["id"], value=True).status_code == 404


@pytest.mark.parametrize("body", [{"value": True}, {"response_id": "resp_1"}, {"value": 1}])
def test_malformed_feedback_is_a_400(agent: Agent, body: Any) -> None:
    assert judge(agent, **body).status_code == 400


def test_feedback_goes_with_its_chat(agent: Agent) -> None:
    chat = ask(agent, "hello")
    judge(agent, message_id=messages(agent, chat)[1]["id"], value=True)
    agent.http.delete(f"/api/chats/{chat}", headers=agent.headers)
    assert given(agent) == []
