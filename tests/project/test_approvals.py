"""What is dangerous waits for the user's yes, however long that takes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.conftest import Renders
from tests.project.test_any_model import in_background, last_of, text_of
from tests.standins.answers import Answer, Call
from tests.standins.model import StandinModel, open_standin_model
from tests.support.background_project import Reader, make_project
from tests.support.gated_agents import GATED
from tests.support.project import Project, Server
from tests.support.rendering import FRAMEWORKS

pytestmark = pytest.mark.generated
MEMORY = ("short_term", "background", "chat")
ADA, EVE = ({"X-Forwarded-User": name} for name in ("ada", "eve"))
ASKED = "mcp_approval_request"
Body = dict[str, Any]


@pytest.fixture(scope="module")
def model() -> Iterator[StandinModel]:
    """Yield a model server."""
    with open_standin_model() as model:
        yield model


@pytest.fixture(autouse=True)
def strict(model: StandinModel) -> Iterator[None]:
    """Let the model refuse what real endpoints refuse, and behave again afterwards."""
    model.strict = True
    yield
    model.reset()


@dataclass
class Desk:
    """A running agent that asks before it sends letters, and whom it has sent some."""

    project: Project
    server: Server
    model: StandinModel
    letters: Path
    variables: dict[str, str]

    @property
    def sent(self) -> list[str]:
        """Whom letters were sent to."""
        return self.letters.read_text().split() if self.letters.exists() else []

    def ask(self, *to: str, thread: str = "", say: str = "Write to them", **more: Any) -> Body:
        """Let the model call `send`, and return what the client is told."""
        calls = [Call("send", json.dumps({"to": one}), f"call_{one}") for one in to]
        self.model.script = [Answer("Well.", tuple(calls))]
        return self.say(thread or str(uuid4()), say, **more)

    def say(self, thread: str, what: Any, headers: Any = ADA, **more: Any) -> Body:
        """Return the response to an input."""
        body = {"input": what, "custom_inputs": {"thread_id": thread}, **more}
        answer = self.server.http.post("/responses", json=body, headers=headers)
        return last_of(answer) if more.get("stream") else dict(answer.json())

    def answer(self, asked: Body, *approve: bool, **more: Any) -> Body:
        """Answer the requests in a response, in order."""
        said = [response(one, yes) for one, yes in zip(requests(asked), approve, strict=False)]
        return self.say(asked["custom_outputs"]["thread_id"], said, **more)


def requests(body: Body) -> list[Body]:
    return [item for item in body["output"] if item["type"] == ASKED]


def response(asked: Body, approve: bool, **more: Any) -> Body:
    kind = {"type": "mcp_approval_response", "approval_request_id": asked["id"]}
    return {**kind, "approve": approve, **more}


def kinds(body: Body) -> list[str]:
    return [item["type"] for item in body["output"]]


def code(body: Body) -> str:
    return str(body["error"]["code"])


@pytest.fixture(scope="module", params=FRAMEWORKS)
def desk(
    request: pytest.FixtureRequest,
    renders: Renders,
    tmp_path_factory: pytest.TempPathFactory,
    model: StandinModel,
) -> Iterator[Desk]:
    """Yield a running agent that asks before it sends letters."""
    folder = tmp_path_factory.mktemp("gated") / "my-agent"
    place = tmp_path_factory.mktemp("environment")
    project = make_project(renders.template, request.param, folder, place, MEMORY)
    (folder / "agent_server" / "agent.py").write_text(GATED[request.param])
    letters = folder.parent / "letters"
    variables = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none", "SENT": str(letters)}
    with project.open_database() as variables["DATABASE_URL"]:
        with Server(project, **variables) as server:
            yield Desk(project, server.until_ready(), model, letters, variables)


def test_a_call_waits_for_a_yes_and_is_made_then(desk: Desk) -> None:
    asked = desk.ask("ada@x")
    assert asked["status"] == "completed" and kinds(asked) == ["message", ASKED]
    assert json.loads(requests(asked)[0]["arguments"]) == {"to": "ada@x"}
    assert "ada@x" not in desk.sent
    done = desk.answer(asked, True)
    assert kinds(done) == ["function_call", "function_call_output", "message"]
    assert "Sent to ada@x." in text_of(done) and desk.sent.count("ada@x") == 1


def test_a_call_is_not_made_after_a_no_and_the_model_is_told(desk: Desk) -> None:
    asked = desk.ask("no@x")
    done = desk.say(
        asked["custom_outputs"]["thread_id"],
        [response(requests(asked)[0], False, reason="Too early.")],
    )
    assert done["status"] == "completed" and "no@x" not in desk.sent
    assert "Too early." in str(desk.model.requests[-1])


def test_a_streamed_answer_asks_and_goes_on_alike(desk: Desk) -> None:
    asked = desk.ask("stream@x", stream=True)
    assert kinds(asked) == ["message", ASKED]
    done = desk.answer(asked, True, stream=True)
    assert kinds(done) == ["function_call", "function_call_output", "message"]
    assert desk.sent.count("stream@x") == 1


def test_a_background_response_asks_and_goes_on_alike(desk: Desk) -> None:
    desk.model.script = [Answer("Well.", (Call("send", '{"to": "back@x"}'),))]
    asked = in_background(desk.server, "Write to them", str(uuid4()))
    begun = desk.answer(asked, True, background=True, headers=ADA)
    done = Reader(desk.server, begun["id"]).wait().events[-1]["response"]
    assert kinds(done) == ["function_call", "function_call_output", "message"]
    assert desk.sent.count("back@x") == 1


def test_it_is_decided_once(desk: Desk) -> None:
    asked = desk.ask("once@x")
    desk.answer(asked, True)
    assert code(desk.answer(asked, True)) == code(desk.answer(asked, False)) == "already_decided"
    assert desk.sent.count("once@x") == 1


def test_two_calls_wait_for_two_answers(desk: Desk) -> None:
    asked = desk.ask("first@x", "second@x")
    waiting = desk.answer(asked, True)
    assert requests(waiting) == requests(asked)[1:] and "first@x" not in desk.sent
    thread = asked["custom_outputs"]["thread_id"]
    done = desk.say(thread, [response(requests(waiting)[0], False)])
    assert done["status"] == "completed"
    assert "first@x" in desk.sent and "second@x" not in desk.sent


def test_two_answers_may_come_together(desk: Desk) -> None:
    asked = desk.ask("third@x", "fourth@x")
    desk.answer(asked, False, True)
    assert "third@x" not in desk.sent and "fourth@x" in desk.sent


def test_another_message_means_no_and_the_model_is_told(desk: Desk) -> None:
    asked = desk.ask("other@x")
    thread = asked["custom_outputs"]["thread_id"]
    assert "Never mind" in text_of(desk.say(thread, "Never mind"))
    assert "did not approve" in str(desk.model.requests[-1])
    assert code(desk.answer(asked, True)) == "already_decided"
    assert "other@x" not in desk.sent


def test_nobody_else_can_decide(desk: Desk) -> None:
    asked = desk.ask("mine@x")
    assert code(desk.answer(asked, True, headers=EVE)) == "no_such_approval"
    assert "mine@x" not in desk.sent
    desk.answer(asked, True)
    assert desk.sent.count("mine@x") == 1


def test_what_was_not_asked_can_not_be_approved(desk: Desk) -> None:
    invented = [response({"id": "mcpr_0"}, True)]
    assert code(desk.say(str(uuid4()), invented)) == "no_such_approval"
    both = [response({"id": "mcpr_0"}, True), response({"id": "mcpr_0"}, False)]
    assert code(desk.say(str(uuid4()), both)) == "invalid_request"


def test_a_resent_history_with_an_old_answer_decides_nothing(desk: Desk) -> None:
    asked = desk.ask("old@x", say="Write")
    thread = asked["custom_outputs"]["thread_id"]
    done = desk.answer(asked, True)
    said = response(requests(asked)[0], True)
    history = [{"role": "user", "content": "Write"}, *asked["output"], said, *done["output"]]
    again = desk.say(thread, [*history, {"role": "user", "content": "Thanks"}])
    assert again["status"] == "completed" and "Thanks" in text_of(again)
    assert desk.sent.count("old@x") == 1


def test_the_thread_goes_on_after_an_answer(desk: Desk) -> None:
    asked = desk.ask("on@x", say="My name is Ada")
    thread = asked["custom_outputs"]["thread_id"]
    desk.answer(asked, True)
    assert "Ada" in text_of(desk.say(thread, "What is my name?"))
    assert desk.sent.count("on@x") == 1


def test_a_call_that_needs_no_yes_is_not_asked_for(desk: Desk) -> None:
    desk.model.script = [Answer(calls=(Call("echo", '{"text": "hello"}'),))]
    body = desk.say(str(uuid4()), "Say hello")
    assert kinds(body) == ["function_call", "function_call_output", "message"]


def test_after_a_week_it_is_too_late(desk: Desk) -> None:
    asked = desk.ask("late@x")
    with psycopg.connect(desk.variables["DATABASE_URL"]) as admin:
        admin.execute("UPDATE my_agent.approvals SET created_at = now() - interval '8 days'")
    assert code(desk.answer(asked, True)) == "approval_expired"
    assert "late@x" not in desk.sent
