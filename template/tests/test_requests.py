"""What a client of the OpenAI API may send besides text: it is used, left out, or refused."""

from typing import Any

import pytest

from tests.agent import Agent

USER = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "name": "f", "parameters": {}}
REFUSED: list[dict[str, Any]] = [
    {"tools": [TOOL]},
    {"tool_choice": "required"},
    {"tool_choice": {"type": "function", "name": "f"}},
    {"parallel_tool_calls": False},
    {"max_output_tokens": 50},
    {"max_tool_calls": 1},
    {"prompt": {"id": "pmpt_1"}},
    {"reasoning": {"effort": "high", "summary": None}},
    {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}}}},
    {"text": {"format": {"type": "json_object"}, "verbosity": None}},
    {"text": {"verbosity": "low"}},
    {"text": "short"},
    {"truncation": "sometimes"},
    {"top_logprobs": 5},
    {"context_management": [{"type": "compaction"}]},
    {"moderation": {"model": "omni-moderation-latest"}},
    {"store": False},
]
DEFAULTS: dict[str, Any] = {
    "tools": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "reasoning": {"effort": None, "summary": None},
    "truncation": "disabled",
    "top_logprobs": 0,
    "store": True,
}
IGNORED: dict[str, Any] = {
    "model": "gpt-5",
    "instructions": "Be rude.",
    "temperature": 1.5,
    "top_p": 0.1,
    "user": "u",
    "safety_identifier": "u",
    "prompt_cache_key": "k",
    "service_tier": "auto",
    "stream_options": {"include_obfuscation": False},
    "include": ["reasoning.encrypted_content"],
}
UNUSED: list[dict[str, Any]] = [
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {}},
    {"type": "file_search_call", "id": "fs_1", "queries": ["q"], "results": None},
    {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": []},
    {"type": "mcp_call", "id": "mcp_1", "name": "f", "arguments": "not JSON"},
    {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"},
    {"type": "custom_tool_call_output", "call_id": "c", "output": "x"},
    {"type": "compaction", "encrypted_content": "x"},
    {"type": "item_reference", "id": "msg_1"},
    {"id": "msg_1"},
]
PARTS = [
    {"type": "output_text", "text": "I ", "annotations": [{"type": "url_citation"}]},
    {"type": "refusal", "refusal": "won't."},
]
ANSWER = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant"}


@pytest.mark.parametrize("sent", REFUSED, ids=str)
@pytest.mark.parametrize("how", [{}, {"stream": True}, {"background": True}], ids=str)
def test_a_parameter_that_is_not_honoured_is_refused_by_name(
    agent: Agent, sent: dict[str, Any], how: dict[str, bool]
) -> None:
    answer = agent.post({"input": "hello", **sent, **how})
    message = answer.json()["error"]["message"]
    assert answer.status_code == 400 and next(iter(sent)) in message, message
    assert "\n" not in message and len(message) < 300
    assert agent.http.post("/invocations", json={"input": "hi", **sent}).status_code == 400


def test_a_refusal_says_what_was_sent_and_what_to_do(agent: Agent) -> None:
    message = agent.post({"input": "hi", "max_output_tokens": 50}).json()["error"]["message"]
    assert "max_output_tokens" in message and "50" in message and "Leave it out" in message


@pytest.mark.parametrize("values", [DEFAULTS, dict.fromkeys(DEFAULTS), IGNORED], ids=str)
def test_defaults_and_what_changes_no_answer_may_be_sent(
    agent: Agent, values: dict[str, Any]
) -> None:
    assert agent.post({"input": "hello", **values}).status_code == 200


def test_items_of_other_kinds_are_left_out_of_a_resent_history(agent: Agent) -> None:
    assert "hello" in agent.ask([USER, *UNUSED, ANSWER | {"content": "Hi."}, USER])


@pytest.mark.parametrize("type", ["web_search_cal", "telepathy", "", 7, ["reasoning"]])
def test_an_item_of_a_made_up_type_is_a_400(agent: Agent, type: Any) -> None:
    assert agent.post({"input": [USER, {"type": type}]}).status_code == 400


def test_a_request_with_nothing_but_unused_items_is_a_400(agent: Agent) -> None:
    assert agent.post({"input": UNUSED}).status_code == 400


def test_a_resent_answer_may_have_citations_and_refusals(agent: Agent) -> None:
    assert agent.post({"input": [USER, {**ANSWER, "content": PARTS}, USER]}).status_code == 200


def test_the_result_of_a_tool_may_have_parts(agent: Agent) -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "id": "fc_1"}
    output = {"type": "function_call_output", "call_id": "c"}
    parts = [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]
    assert agent.post({"input": [USER, call, {**output, "output": parts}, USER]}).status_code == 200


def test_a_history_that_is_resent_with_reasoning_does_not_grow_the_thread(agent: Agent) -> None:
    agent.ask("hello", "t")
    sent = [USER, UNUSED[0], {**ANSWER, "content": PARTS}, {**USER, "content": "What did I say?"}]
    assert agent.ask(sent, "t").count("hello") == 1
