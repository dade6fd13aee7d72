"""Bodies that no client of good faith sends: broken, nested, in other encodings, of other types."""

import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.abuse.odd_values import VALUES, places, replaced
from tests.support.project import Server

pytestmark = pytest.mark.generated
EXAMPLES = 10 * int(os.environ.get("ABUSE_EXAMPLES", "6"))
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
ID = "00000000-0000-4000-8000-000000000000"
ROUTES = st.sampled_from(
    [
        "POST /responses", "POST /invocations", "POST /api/chat", "POST /responses/resp_1/cancel",
        "POST /api/feedback", f"PATCH /api/chats/{ID}",
    ]
)  # fmt: skip
APPROVAL = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
MESSAGE = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
CALL = {"type": "function_call", "call_id": "c", "name": "get_current_time", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "noon"}
BODIES: list[dict[str, Any]] = [
    {"input": [MESSAGE, CALL, OUTPUT, MESSAGE], "custom_inputs": {"thread_id": "fuzzed"}},
    {"message": "hi", "messages": [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}]},
    {"input": "hi", "background": True, "metadata": {"a": "b"}, "context": {"user_id": "eve"}},
    {"input": [MESSAGE, {**APPROVAL, "reason": "fine"}], "custom_inputs": {"session_id": "fuzzed"}},
    {"chatId": ID, "approval": {"id": "mcpr_1", "approve": False, "reason": "no"}},
    {"chatId": ID, "message": "hi", "replaces": ID, "trigger": "regenerate-message"},
    {"message_id": ID, "value": True, "comment": "good", "title": "A title"},
    {"response_id": f"resp_{ID}", "value": None},
]


@st.composite
def odd_bodies(draw: st.DrawFn) -> bytes:
    """Return a good body with one odd value in it."""
    body = draw(st.sampled_from(BODIES))
    return json.dumps(replaced(body, draw(st.sampled_from(places(body))), draw(VALUES))).encode()


@st.composite
def broken_bodies(draw: st.DrawFn) -> bytes:
    """Return a good body with some bytes gone and others in their place, or in another encoding."""
    text = json.dumps(draw(st.sampled_from(BODIES)))
    body = text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"])))
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, len(body)))
    nested = st.integers(1, 100_000).map(lambda depth: b"[" * depth)
    return body[:start] + draw(st.binary(max_size=20) | nested) + body[end:]


def check(server: Server, route: str, body: bytes) -> None:
    """Fail unless the server answers, or says what is wrong with the body."""
    headers = {"X-Forwarded-User": "fuzz", "Content-Type": "application/json"}
    method, path = route.split()
    answer = server.http.request(method, path, content=body, headers=headers)
    assert answer.status_code < 500 or answer.status_code == 503, answer.text
    if answer.status_code not in (200, 204):
        assert answer.json()["error"]["code"] and answer.json()["error"]["message"]


@fuzzed
@given(route=ROUTES, body=odd_bodies())
def test_an_odd_value_anywhere_is_no_crash(server: Server, route: str, body: bytes) -> None:
    check(server, route, body)


@fuzzed
@given(route=ROUTES, body=broken_bodies())
def test_a_broken_body_is_no_crash(server: Server, route: str, body: bytes) -> None:
    check(server, route, body)
