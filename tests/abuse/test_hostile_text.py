"""Text that can't be stored or sent, from a model and from its tools."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.standins.model import StandinModel
from tests.support.background_project import Reader, begin
from tests.support.project import Server, text_of

pytestmark = pytest.mark.generated
HOSTILE = {
    "NUL": ["a\0", "b"],
    "half a pair": ["a\ud800", "b"],
    "the other half": ["a", "\udc00b"],
    "half at the end": ["ab", "\ud83d"],
}
hostile = pytest.mark.parametrize("pieces", HOSTILE.values(), ids=HOSTILE)


@pytest.fixture(autouse=True)
def healthy(model: StandinModel) -> Iterator[None]:
    """Let every test end with a model that works."""
    yield
    model.pieces, model.calls, model.arguments, model.calls_once = None, "", "{}", False


@pytest.fixture
def user() -> str:
    """Return somebody who has stored nothing yet."""
    return f"{uuid4().hex}@example.com"


def export(server: Server, user: str) -> dict[str, Any]:
    """Return all that is stored about a user, which a strict reader can read."""
    answer = server.http.get("/api/me/export", headers={"X-Forwarded-User": user})
    assert answer.status_code == 200, f"{answer.text}\n{server.log}"
    return dict(answer.json())


def answers(server: Server, user: str, thread: str) -> list[str]:
    """Return what the model says in each way to ask it."""
    chat = {"message": "hello", "chatId": str(uuid4())}
    headers = {"X-Forwarded-User": user}
    streamed = server.post("hello", thread, user, stream=True).text
    events = [json.loads(line[6:]) for line in streamed.splitlines() if line[:7] == "data: {"]
    return [
        text_of(server.post("hello", thread, user).json()),
        "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta"),
        Reader(server, begin(server, "hello", uuid4().hex, user), user=user).wait().text,
        server.http.post("/api/chat", json=chat, headers=headers).text,
    ]


@hostile
def test_unstorable_text_of_a_model_is_replaced_wherever_it_is_told(
    server: Server, model: StandinModel, user: str, pieces: list[str]
) -> None:
    model.pieces = pieces
    said = answers(server, user, "t")
    assert len(set(said)) == 1 and "\ufffd" in said[0]
    said[0].encode()
    assert "\0" not in json.dumps(export(server, user), ensure_ascii=False).encode().decode()


def test_a_pair_that_is_split_over_two_pieces_stays_a_whole_character(
    server: Server, model: StandinModel, user: str
) -> None:
    model.pieces = ["a\ud83d", "\ude00b"]
    assert answers(server, user, "t") == ["a😀b"] * 4


@pytest.mark.parametrize("stream", [True, False])
def test_a_thread_sends_the_model_nothing_unstorable(
    server: Server, model: StandinModel, user: str, stream: bool
) -> None:
    model.pieces = ["a\0b\ud83d", "\ude00\ud800"]
    server.post("hello", "t", user, stream=stream)
    model.pieces = None
    assert "2 of your messages" in server.ask("hello", "t", user)
    body = model.requests[-1].decode()
    assert "a\ufffdb😀\ufffd" in json.loads(body)["messages"][-2]["content"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("bad", [r"\u0000", r"\ud800", r"\udc00x"])
def test_unstorable_arguments_reach_neither_the_tool_nor_the_next_call(
    server: Server, model: StandinModel, user: str, stream: bool, bad: str
) -> None:
    model.calls, model.calls_once = "echo", True
    model.arguments = f'{{"text": "a{bad}b"}}'
    answer = server.post("hello", "t", user, stream=stream)
    assert answer.status_code == 200 and "response.failed" not in answer.text, server.log
    asked = json.loads(model.requests[-1])["messages"]
    assert "a\ufffd" in str(asked[-1]["content"]) and r"\ud800" not in answer.text
    assert r"\u0000" not in answer.text
    export(server, user)


def test_unstorable_output_of_a_tool_is_replaced(
    server: Server, model: StandinModel, user: str
) -> None:
    answer = server.post("/call rude {}", "t", user)
    assert answer.status_code == 200, server.log
    outputs = [i["output"] for i in answer.json()["output"] if i["type"] == "function_call_output"]
    assert outputs == ["a\ufffdb\ufffdc😀"]
    assert "a\ufffdb\ufffdc😀" in model.requests[-1].decode()
    export(server, user)


def test_rows_that_were_stored_with_nul_can_be_exported(
    server: Server, database: str, user: str
) -> None:
    response_id = begin(server, "hello", "t", user)
    Reader(server, response_id, user=user).wait()
    with psycopg.connect(database, autocommit=True) as connection:
        event = json.dumps({"type": "response.output_text.delta", "delta": "a\0b\ud800"})
        query = "UPDATE my_agent.response_events SET event = %s WHERE response_id = %s"
        connection.execute(query, [event, response_id])
    assert export(server, user)["response_events"][0]["event"]["delta"] == "a\0b\ud800"
