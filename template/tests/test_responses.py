"""What a client of the Responses API may rely on."""

import asyncio
import contextlib
import json
from typing import Any
from uuid import uuid4

import pytest
from openai import BadRequestError, OpenAI

from agent_server.errors import bad_request
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.task import ResponseTask
from tests.agent import Agent, needs_sample_tool, text_of

USER = {"role": "user", "content": "hello"}
CALL = {"type": "function_call", "call_id": "c", "name": "f"}
MALFORMED: list[Any] = [
    [],
    None,
    "hi",
    7,
    {},
    {"input": []},
    {"input": ""},
    {"input": " "},
    {"input": [{**USER, "content": "\n"}]},
    {"input": 7},
    {"input": [USER] * 2001},
    {"input": [{}] * 2000},
    {"input": [[]] * 60_000},
    {"input": "hi", "unknown": [[]] * 60_000},
    {"input": "hi\x00"},
    {"input": "half \ud800 pair"},
    {"input": [{"role": "wizard", "content": "hi"}]},
    {"input": [{"role": "assistant", "content": "hi"}]},
    {"input": [{**USER, "type": "input_telepathy"}]},
    {"input": [{**USER, "type": "two\nlines" * 1000}]},
    {"input": [USER, {**CALL, "arguments": "[1]"}]},
    {"input": "hi", "stream": "no"},
    {"input": "hi", "background": "yes"},
    {"input": "hi", "metadata": {"topic": 7}},
    {"input": "hi", "metadata": {"topic": "x" * 513}},
    {"input": "hi", "metadata": {f"topic{n}": "x" for n in range(17)}},
    {"input": "hi", "custom_inputs": {"thread_id": 7}},
    {"input": "hi", "custom_inputs": {"thread_id": "a", "session_id": "b"}},
    {"input": "hi", "previous_response_id": "resp_1"},
    {"input": "hi", "conversation": "conv_1"},
]


def test_an_answer_is_a_response_with_an_id_of_its_own(agent: Agent) -> None:
    first, second = (agent.post({"input": "hello"}).json() for _ in range(2))
    assert first["object"] == "response" and first["status"] == "completed"
    assert "hello" in text_of(first)
    assert first["id"].startswith("resp_") and first["id"] != second["id"]


def test_a_run_that_was_ended_says_nothing_more() -> None:
    async def talk(response: ResponseBuilder) -> None:
        while not response.finished:
            response.text("and ")
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        response.text("more")

    async def read() -> list[str]:
        response = ResponseBuilder("t")
        task = ResponseTask(talk(response), response)
        assert await response.events.reach(9) and task.stop(bad_request("enough"))
        await asyncio.sleep(0.01)
        return [kind async for kind, _ in response.events.read()]

    assert asyncio.run(read())[-1] == "response.failed"


def test_the_official_client_streams_the_same_text(server: str) -> None:
    client = OpenAI(base_url=server, api_key="none")
    whole = client.responses.create(model="any", input="/repeat 20")
    events = list(client.responses.create(model="any", input="/repeat 20", stream=True))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text
    assert len(deltas) > 10
    assert [events[0].type, events[-1].type] == ["response.created", "response.completed"]


def test_the_official_client_sees_why_a_request_was_refused(server: str) -> None:
    client = OpenAI(base_url=server, api_key="none")
    with pytest.raises(BadRequestError, match=r"custom_inputs\.thread_id"):
        client.responses.create(model="any", input="hi", previous_response_id="resp_1")


def test_metadata_is_returned(agent: Agent) -> None:
    labels = {"topic": "memory"}
    assert agent.post({"input": "hello", "metadata": labels}).json()["metadata"] == labels
    assert agent.post({"input": "hello"}).json()["metadata"] == {}


def test_a_stream_ends_with_done(agent: Agent) -> None:
    response = agent.post({"input": "hello", "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.text.endswith("data: [DONE]\n\n")


@needs_sample_tool
def test_a_tool_call_and_its_output_are_part_of_the_response(agent: Agent) -> None:
    output = agent.post({"input": "What time is it?"}).json()["output"]
    assert [item["type"] for item in output] == ["function_call", "function_call_output", "message"]
    assert output[0]["name"] == "get_current_time"
    assert output[0]["call_id"] == output[1]["call_id"]


def test_databricks_own_chat_page_gets_the_events_it_reads(agent: Agent) -> None:
    said = [("user", "hello"), ("assistant", "Hello."), ("user", "/repeat 3")]
    history = [{"role": role, "content": text} for role, text in said]
    context = {"conversation_id": "c-1", "user_id": "somebody.else@example.com"}
    body = {"input": history, "stream": True, "context": context}
    answer = agent.http.post("/invocations", json=body, headers=agent.headers)
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if "{" in line[:7]]
    deltas = [e for e in events if e["type"] == "response.output_text.delta"]
    done = [e["item"] for e in events if e["type"] == "response.output_item.done"]
    assert "".join(e["delta"] for e in deltas) == done[-1]["content"][0]["text"]
    assert {e["item_id"] for e in deltas} == {done[-1]["id"]}
    assert events[-1]["response"]["custom_outputs"]["thread_id"] == "c-1"


def test_both_paths_and_both_names_lead_to_the_same_thread(agent: Agent) -> None:
    body = {"input": "hi", "custom_inputs": {"session_id": "s-1"}}
    response = agent.http.post("/invocations", json=body).json()
    assert response["custom_outputs"] == {"thread_id": "s-1", "session_id": "s-1"}


def test_without_an_id_a_request_gets_a_new_thread(agent: Agent) -> None:
    first, second = (agent.post({"input": "hi"}).json()["custom_outputs"] for _ in range(2))
    assert first["thread_id"] != second["thread_id"]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: json.dumps(body)[:50])
def test_a_malformed_body_is_a_400_with_one_line(agent: Agent, body: Any) -> None:
    # Not through httpx's json=, which rejects what a hostile client would send.
    headers = {"content-type": "application/json"}
    response = agent.http.post("/responses", content=json.dumps(body), headers=headers)
    assert response.status_code == 400, response.text
    message = response.json()["error"]["message"]
    assert message and "\n" not in message and "Traceback" not in message
    assert len(message) < 300


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"input": "\xff"}'])
def test_a_body_that_is_not_json_is_a_400(agent: Agent, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    assert agent.http.post("/responses", content=content, headers=headers).status_code == 400


def test_a_body_above_the_limit_is_a_413(agent: Agent) -> None:
    assert agent.post({"input": "x" * (4 * 2**20)}).status_code == 413


def test_null_means_not_sent(agent: Agent) -> None:
    nulls = dict.fromkeys(("stream", "background", "metadata", "custom_inputs", "context"))
    assert agent.post({"input": "hi", **nulls}).status_code == 200


def test_every_answer_carries_a_request_id(agent: Agent) -> None:
    assert agent.http.get("/health").headers["x-request-id"]
    sent = uuid4().hex
    answer = agent.post({"input": "hi"}, **{"X-Request-Id": sent})
    assert answer.headers["x-request-id"] == sent


def test_instructions_of_a_client_are_ignored(agent: Agent) -> None:
    system = {"role": "system", "content": "/repeat 3"}
    assert "hello" in agent.ask([system, USER])
