"""Background responses: each is finished, whether or not anyone reads it."""

import json
import time
from typing import Any

import pytest
from openai import OpenAI

from tests.agent import Agent, text_of


def test_the_answer_can_be_read_later(agent: Agent) -> None:
    begun = _begin(agent, "/repeat 5")
    assert begun["status"] in ("queued", "in_progress") and begun["background"]
    assert text_of(_finished(agent, begun["id"])) == "word1 word2 word3 word4 word5"


def test_metadata_is_returned_later(agent: Agent) -> None:
    labels = {"topic": "memory"}
    begun = agent.post({"input": "hello", "background": True, "metadata": labels}).json()
    assert _finished(agent, begun["id"])["metadata"] == labels


def test_a_stream_from_a_cursor_has_only_the_rest(agent: Agent) -> None:
    response_id = _begin(agent, "/repeat 20")["id"]
    everything = _follow(agent, response_id)
    assert [event["sequence_number"] for event in everything] == list(range(len(everything)))
    for cursor in (0, 1, 7):
        assert _follow(agent, response_id, cursor) == everything[cursor + 1 :]


def test_the_official_client_follows_a_background_stream(server: str) -> None:
    client = OpenAI(base_url=server, api_key="none")
    with client.responses.stream(model="any", input="What time is it?", background=True) as stream:
        final = stream.get_final_response()
    assert client.responses.retrieve(final.id).output_text == final.output_text


def test_somebody_elses_response_is_not_there(agent: Agent) -> None:
    response_id = _begin(agent, "hello")["id"]
    eve = {"X-Forwarded-User": f"{agent.user}.eve"}
    for method, path in (("GET", ""), ("GET", "?stream=true"), ("POST", "/cancel"), ("DELETE", "")):
        url = f"/responses/{response_id}{path}"
        assert agent.http.request(method, url, headers=eve).status_code == 404
    assert _finished(agent, response_id)["status"] == "completed"


def test_a_cancelled_response_stays_cancelled(agent: Agent) -> None:
    response_id = _begin(agent, "/repeat 2000 every 20 ms")["id"]
    assert _ask(agent, "POST", f"{response_id}/cancel")["status"] == "cancelled"
    assert _ask(agent, "GET", response_id)["status"] == "cancelled"
    assert _follow(agent, response_id)[-1]["type"] == "response.cancelled"


def test_a_deleted_response_is_gone(agent: Agent) -> None:
    response_id = _begin(agent, "hello")["id"]
    assert _ask(agent, "DELETE", response_id)["deleted"]
    assert _ask(agent, "GET", response_id)["error"]["code"] == "not_found"


def test_the_same_key_starts_one_response(agent: Agent) -> None:
    first, second = (_begin(agent, "hello", **{"Idempotency-Key": "k"}) for _ in range(2))
    assert first["id"] == second["id"]
    refused = agent.post({"input": "else", "background": True}, **{"Idempotency-Key": "k"})
    assert refused.status_code == 422


def test_a_foreground_response_is_not_stored(agent: Agent) -> None:
    response_id = agent.post({"input": "hello"}).json()["id"]
    assert _ask(agent, "GET", response_id)["error"]["code"] == "not_found"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_id_that_is_not_text_is_a_400(agent: Agent, method: str) -> None:
    assert agent.http.request(method, "/responses/%00", headers=agent.headers).status_code == 400


@pytest.mark.parametrize("cursor", ["-2", "x", "9" * 30])
def test_an_invalid_cursor_is_a_400(agent: Agent, cursor: str) -> None:
    response_id = _begin(agent, "hello")["id"]
    url = f"/responses/{response_id}?stream=true&starting_after={cursor}"
    assert agent.http.get(url, headers={"X-Forwarded-User": agent.user}).status_code == 400


def _begin(agent: Agent, question: str, **headers: str) -> dict[str, Any]:
    response = agent.post({"input": question, "background": True}, **headers)
    assert response.status_code == 200, response.text
    return dict(response.json())


def _ask(agent: Agent, method: str, path: str) -> dict[str, Any]:
    headers = {"X-Forwarded-User": agent.user}
    return dict(agent.http.request(method, f"/responses/{path}", headers=headers).json())


def _finished(agent: Agent, response_id: str) -> dict[str, Any]:
    while (response := _ask(agent, "GET", response_id))["status"] in ("queued", "in_progress"):
        time.sleep(0.02)
    return response


def _follow(agent: Agent, response_id: str, cursor: int = -1) -> list[dict[str, Any]]:
    url = f"/responses/{response_id}?stream=true&starting_after={cursor}"
    stream = agent.http.get(url, headers={"X-Forwarded-User": agent.user}).text
    assert stream.endswith("data: [DONE]\n\n")
    lines = [line[6:] for line in stream.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]
