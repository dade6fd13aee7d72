"""A conversation never ends because it is long, and costs no more for it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from benchmarks.wire import Traffic, open_wire
from tests.conftest import Renders
from tests.standins.model import StandinModel
from tests.standins.too_long import TOO_LONG
from tests.support.project import Project, Server, install, text_of
from tests.support.rendering import FRAMEWORKS, Combination, render

pytestmark = pytest.mark.generated
ADA = {"X-Forwarded-User": "ada"}
TOKENS = 2000
# About sixty tokens in each message.
FILLER = "the quick brown fox jumps over the lazy dog, and then some more " * 3


@pytest.fixture(scope="module", params=FRAMEWORKS)
def project(
    request: pytest.FixtureRequest, renders: Renders, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """Return an installed project."""
    folder = tmp_path_factory.mktemp("long") / "my-agent"
    render(renders.template, Combination(request.param, ("short_term", "chat"), "local"), folder)
    return install(folder, tmp_path_factory.mktemp("environment"))


@dataclass(frozen=True)
class Counted:
    """A server, and what passes between it and its database."""

    server: Server
    traffic: Traffic


@pytest.fixture(scope="module")
def counted(project: Project, model: StandinModel) -> Iterator[Counted]:
    """Yield a running agent whose model takes in 2,000 tokens."""
    with project.open_database() as url:
        port = int(url.rsplit(":", 1)[1].split("/")[0])
        with open_wire(port) as (way, traffic):
            places = {"DATABASE_URL": url.replace(f":{port}/", f":{way}/")}
            places |= {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
            with Server(project, CONTEXT_TOKENS=str(TOKENS), **places) as server:
                yield Counted(server.until_ready(), traffic)


@pytest.fixture
def server(counted: Counted) -> Server:
    """Return the running agent."""
    return counted.server


@pytest.fixture(autouse=True)
def strict(model: StandinModel) -> Iterator[None]:
    """Let the model refuse what real endpoints refuse."""
    model.strict, model.context = True, TOKENS + 500
    yield
    model.reset()


def ask(server: Server, chat: str, question: str) -> httpx.Response:
    body = {"message": question, "chatId": chat}
    return server.http.post("/api/chat", json=body, headers=ADA)


def spent(counted: Counted, chat: str, number: int) -> Traffic:
    """Return what a turn said to Postgres."""
    before = counted.traffic.copy()
    assert ask(counted.server, chat, f"question {number}: {FILLER}").status_code == 200, number
    return counted.traffic - before


def test_three_hundred_turns_are_answered_and_kept_and_cost_no_more(counted: Counted) -> None:
    chat = str(uuid4())
    cost = [spent(counted, chat, number) for number in range(1, 301)]
    exported = counted.server.http.get("/api/me/export", headers=ADA).json()["messages"]
    asked = {m["content"].split(":")[0] for m in exported if m["role"] == "user"}
    assert {f"question {number}" for number in range(1, 301)} <= asked
    early, late = (sum(c.statements.total() for c in part) for part in (cost[10:60], cost[250:]))
    assert late <= 1.05 * early, f"statements of fifty turns: {early} at first, {late} at last"
    received = [c.received for c in cost]
    assert max(received[10:]) <= 1.2 * received[10], f"bytes of each turn: {received}"


def test_the_response_says_how_much_was_left_out(server: Server) -> None:
    thread = str(uuid4())
    for _ in range(20):
        body = server.post(FILLER, thread).json()
    assert body["custom_outputs"]["left_out"] > 0
    assert "left_out" not in server.post("hello", str(uuid4())).json()["custom_outputs"]


def test_a_client_that_resends_everything_does_not_grow_a_long_thread(
    server: Server, model: StandinModel
) -> None:
    thread = str(uuid4())
    said: list[dict[str, Any]] = []
    for _ in range(40):
        said.append({"role": "user", "content": f"yes {FILLER}"})
        answer = server.post(said, thread)
        assert answer.status_code == 200, answer.text
        said.append({"role": "assistant", "content": text_of(answer.json())})
    sent = json.loads(model.requests[-1])["messages"]
    roles = [m["role"] for m in sent if m["role"] != "system"]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]


def test_with_summaries_a_fact_of_turn_3_is_known_much_later(
    project: Project, model: StandinModel
) -> None:
    model.keeps, thread = r"FACT-\w+", str(uuid4())
    places = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
    more = {"CONTEXT_TOKENS": str(TOKENS), "CONTEXT_SUMMARY": "true"}
    with Server(project, **places, **more) as server:
        server.until_ready()
        for number in range(1, 121):
            said = "My code is FACT-heliotrope. " if number == 3 else ""
            assert server.post(f"{said}{number}: {FILLER}", thread).status_code == 200
        server.post("What is my code?", thread)
        asked = next(body for body in reversed(model.requests) if b"Summarise" not in body)
        assert b"FACT-heliotrope" in asked
        server.post("What is my code?", thread, user="eve")
        assert b"FACT-heliotrope" not in model.requests[-1]


@pytest.mark.parametrize("provider", TOO_LONG)
def test_a_model_that_takes_less_is_asked_again_with_less(
    server: Server, model: StandinModel, provider: str
) -> None:
    thread = str(uuid4())
    for _ in range(8):
        assert server.post(FILLER, thread).status_code == 200
    model.context, model.too_long = 700, provider
    assert server.post("hello", thread).status_code == 200


@pytest.mark.parametrize("stream", [True, False])
def test_a_question_that_no_model_takes_is_a_413_and_the_next_one_works(
    server: Server, model: StandinModel, stream: bool
) -> None:
    thread = str(uuid4())
    answer = server.post(FILLER * 100, thread, stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "context_too_long")
    assert server.post("hi", thread, stream=stream).status_code == 200
