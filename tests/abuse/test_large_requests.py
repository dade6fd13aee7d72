"""Requests as large as they may be, or larger: they delay nobody else, and leave nothing behind."""

import json
import signal
import time
from typing import Any

import httpx
import pytest

from tests.abuse.conftest import open_server
from tests.abuse.honest_user import (
    assert_memory_returns,
    free_event_loop,
    honest_user,
    memory_of,
)
from tests.standins.model import StandinModel
from tests.support.background_project import read
from tests.support.project import Project, Server

pytestmark = pytest.mark.generated

MEBIBYTE = 2**20
MOST_BYTES = 4 * MEBIBYTE
MOST_ITEMS = 2000
RECENT_BYTES = 8 * MEBIBYTE  # of threads, so as not to read them again
RESPONSES, CHAT, FEEDBACK = "POST /responses", "POST /api/chat", "POST /api/feedback"
TITLE = "PATCH /api/chats/00000000-0000-4000-8000-000000000000"
VALUES, DEPTH, ITEMS = "MAX_REQUEST_VALUES", "MAX_REQUEST_DEPTH", "MAX_INPUT_ITEMS"
HEADERS = {"Content-Type": "application/json", "X-Forwarded-User": "mallory"}


def many(value: str, size: int = MEBIBYTE) -> str:
    """Return a JSON array with so many bytes of `value`."""
    return f"[{','.join([value] * (size // (len(value) + 1)))}]"


def members(number: int, name: str = "") -> str:
    """Return a JSON object with so many members, all of one name if it is given."""
    inside = ",".join(f'"{name or n}":{n}' for n in range(number))
    return f"{{{inside}}}"


def asks(**more: str) -> str:
    """Return a request with a question, and what `more` says in JSON."""
    inside = ",".join(f'"{key}":{value}' for key, value in {"input": '"Hi"', **more}.items())
    return f"{{{inside}}}"


def history(number: int) -> list[dict[str, str]]:
    """Return a history of so many messages, which ends with a question."""
    texts = [{"role": ("user", "assistant")[n % 2], "content": f"Hello {n}"} for n in range(number)]
    return [*texts[:-1], {"role": "user", "content": "Hello"}]


def calls(number: int, at_once: int, arguments: str = "{}") -> list[dict[str, str]]:
    """Return a question, and so many calls, each group of so many at once with its results."""
    call = {"type": "function_call", "name": "get_current_time", "arguments": arguments}
    items: list[dict[str, str]] = [{"role": "user", "content": "Hello"}]
    for begin in range(0, number, at_once):
        ids = [f"c{n}" for n in range(begin, begin + at_once)]
        items += [{**call, "call_id": name} for name in ids]
        items += [{"type": "function_call_output", "call_id": i, "output": "12:00"} for i in ids]
    return items


def inputs(items: object) -> str:
    """Return a request with these items."""
    return json.dumps({"input": items})


def chats(parts: int, part: object) -> str:
    """Return a chat request whose one message has so many parts."""
    return json.dumps({"messages": [{"role": "user", "parts": [part] * parts}]})


def judged(**more: str) -> str:
    """Return a judgement of an answer, and what `more` says in JSON."""
    inside = {"message_id": '"00000000-0000-4000-8000-000000000000"', "value": "true", **more}
    return f"{{{','.join(f'{json.dumps(key)}:{value}' for key, value in inside.items())}}}"


def approved(**more: str) -> str:
    """Return an approval in a chat, and what `more` says of it in JSON."""
    inside = {"id": '"mcpr_1"', "approve": "true", **more}
    return f'{{"approval":{{{",".join(f"{json.dumps(k)}:{v}" for k, v in inside.items())}}}}}'


TEXT = {"type": "text", "text": "Hello"}
APPROVAL = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
# Where it is sent, what is sent, and what the refusal must name.
REFUSED: dict[str, tuple[str, str, str]] = {
    "objects": (RESPONSES, asks(input=many("{}")), VALUES),
    "objects elsewhere": ("POST /invocations", asks(input=many("{}")), VALUES),
    "objects in 4 MiB": (RESPONSES, asks(input=many("{}", MOST_BYTES - 99)), VALUES),
    "texts in 4 MiB": (RESPONSES, asks(input=many('""', MOST_BYTES - 99)), VALUES),
    "unknown keys": (RESPONSES, asks(unknown=members(80_000)), VALUES),
    "one key": (RESPONSES, asks(unknown=members(80_000, "same")), VALUES),
    "custom inputs": (RESPONSES, asks(custom_inputs=members(80_000)), VALUES),
    "open arrays": (RESPONSES, asks(unknown="[" * 500_000), VALUES),
    "closed arrays": (RESPONSES, "]" * MOST_BYTES, "JSON"),
    "nesting": (RESPONSES, asks(unknown="[" * 100 + "]" * 100), DEPTH),
    "a long number": (RESPONSES, asks(unknown="1" * MEBIBYTE), "pars"),
    "messages": (RESPONSES, inputs(history(15_000)), ITEMS),
    "invalid items": (RESPONSES, inputs([{}] * MOST_ITEMS), "input.0"),
    "invalid parts": (RESPONSES, inputs([{"role": "user", "content": [{}] * 20_000}]), "content"),
    "labels": (RESPONSES, asks(metadata=members(40_000)), "metadata"),
    "arguments": (RESPONSES, inputs(calls(80, 80, many("{}", 40_000))), VALUES),
    "deep arguments": (RESPONSES, inputs(calls(1, 1, "[" * 100 + "]" * 100)), DEPTH),
    "parts of a chat": (CHAT, chats(20_000, {}), "parts.0"),
    "more parts of a chat": (CHAT, chats(40_000, TEXT), VALUES),
    "a comment": (FEEDBACK, judged(comment=many("1")), VALUES),
    "a long comment": (FEEDBACK, judged(comment=f'"{"x" * MEBIBYTE}"'), "comment"),
    "a deep comment": (FEEDBACK, judged(comment="[" * 100 + "]" * 100), DEPTH),
    "unknown keys of a judgement": (FEEDBACK, judged(unknown=members(80_000)), VALUES),
    "an approval": (CHAT, approved(reason=many("{}")), VALUES),
    "a long reason": (CHAT, approved(reason=f'"{"x" * MEBIBYTE}"'), "reason"),
    "the id of an approval": (CHAT, approved(id=f'"{"x" * MEBIBYTE}"'), "approval.id"),
    "approvals": (RESPONSES, inputs([APPROVAL] * (MOST_ITEMS + 1)), ITEMS),
    "approvals of one call": (RESPONSES, inputs([APPROVAL] * MOST_ITEMS), "two approval"),
    "a title": (TITLE, f'{{"title":{many("1")}}}', VALUES),
}
ITEMS_ANSWERED: dict[str, tuple[str, str]] = {
    "messages": (RESPONSES, inputs(history(MOST_ITEMS))),
    "calls at once": (RESPONSES, inputs(calls(990, 990))),
    "calls one by one": (RESPONSES, inputs(calls(990, 1))),
    "calls, as a stream": (RESPONSES, json.dumps({"input": calls(990, 1), "stream": True})),
    "calls, in the background": (
        RESPONSES,
        json.dumps({"input": calls(990, 1), "background": True}),
    ),
    "parts": (RESPONSES, inputs([{"role": "user", "content": [TEXT] * 16_000}])),
    "unknown keys": (RESPONSES, asks(unknown=members(40_000))),
    "approvals before a question": (
        RESPONSES,
        inputs([*[APPROVAL] * (MOST_ITEMS - 1), {"role": "user", "content": "Hello"}]),
    ),
    "parts of a chat": (CHAT, chats(15_000, TEXT)),
}
TEXTS_ANSWERED: dict[str, tuple[str, str]] = {
    "signs": (RESPONSES, inputs("{[,:" * (MOST_BYTES // 4 - 9))),
    "lines": (RESPONSES, inputs("\n" * (MOST_BYTES // 2 - 99) + "Hello")),
    "quotes in a chat": (CHAT, json.dumps({"message": '"{,' * (MOST_BYTES // 4 - 9)})),
}


def send(server: Server, place: str, body: str | bytes) -> httpx.Response:
    """Send a body as it is."""
    method, path = place.split()
    return server.http.request(method, path, content=body, headers=HEADERS)


@pytest.fixture(scope="module")
def idle(server: Server) -> int:
    """Return what the server holds once it has answered in every way, and what it may remember."""
    ways: list[dict[str, Any]] = [{}, {"stream": True}, {"background": True}]
    for way in ways:
        assert server.post("Hello", **way).status_code == 200
    assert send(server, CHAT, json.dumps({"message": "Hello"})).status_code == 200
    return memory_of(server) + RECENT_BYTES


def test_a_request_beyond_a_limit_is_refused_at_once(server: Server, idle: int) -> None:
    with free_event_loop(server), honest_user(server):
        refusals = {name: send(server, place, body) for name, (place, body, _) in REFUSED.items()}
    for name, (_, _, named) in REFUSED.items():
        assert refusals[name].status_code == 400, f"{name}: {refusals[name].text}"
        assert named in refusals[name].json()["error"]["message"], name
    assert_memory_returns(server, idle)


def test_a_request_of_as_many_items_as_allowed_holds_up_nobody(server: Server, idle: int) -> None:
    with free_event_loop(server), honest_user(server):
        answers = {name: send(server, *sent) for name, sent in ITEMS_ANSWERED.items()}
    for name, answer in answers.items():
        assert answer.status_code == 200, f"{name}: {answer.text}"
    assert_memory_returns(server, idle)


def test_a_text_as_long_as_allowed_holds_up_nobody(server: Server, model: StandinModel) -> None:
    model.pieces = ["ok"]  # and no echo, which would be too long an answer
    with free_event_loop(server), honest_user(server):
        answers = {name: send(server, *sent) for name, sent in TEXTS_ANSWERED.items()}
    for name, answer in answers.items():
        assert answer.status_code == 200, f"{name}: {answer.text}"


def test_a_text_in_utf_16_is_refused(server: Server) -> None:
    body = asks(input=many('""', 1000)).encode("utf-16")
    assert "UTF-8" in send(server, RESPONSES, body).json()["error"]["message"]


def test_a_run_that_another_process_takes_over_holds_up_nobody(
    agent: Project, database: str, model: StandinModel
) -> None:
    limits = dict(
        HEARTBEAT_SECONDS="1", ABANDONED_SECONDS="3", LEASE_SECONDS="4", LEASE_RENEWAL_SECONDS="1"
    )
    model.delay = 60
    with open_server(agent, database, model, **limits) as server:
        body = {"input": calls(990, 1), "background": True}
        response_id = server.http.post("/responses", json=body, headers=HEADERS).json()["id"]
        server.stop(signal.SIGKILL)
    model.delay = 0
    with (
        open_server(agent, database, model, **limits) as server,
        free_event_loop(server),
        honest_user(server),
    ):
        assert _finished(server, response_id)["status"] == "completed", server.log


@pytest.mark.parametrize("more", [{}, {"stream": True}, {"background": True}], ids=str)
def test_a_model_that_calls_a_thousand_tools_at_once_is_refused(
    server: Server, model: StandinModel, more: dict[str, bool]
) -> None:
    model.calls, model.times, model.only = "get_current_time", 1000, b"Call them all"
    with free_event_loop(server), honest_user(server):
        answer = server.post("Call them all", f"calls {more}", user="mallory", **more)
        text = (
            json.dumps(_finished(server, answer.json()["id"]))
            if "background" in more
            else answer.text
        )
    model.calls = ""
    assert "too_many_tool_calls" in text and "Try again" not in text
    assert server.ask("Hello", f"calls {more}", user="mallory")


def _finished(server: Server, response_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while (response := read(server, response_id, "mallory"))["status"] in ("queued", "in_progress"):
        assert time.monotonic() < deadline, server.log
        time.sleep(0.1)
    return response
