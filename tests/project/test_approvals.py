"""What is dangerous waits for the user's yes, however long that takes."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import DataObject, booleans, data, integers, sampled_from

from tests.conftest import Renders
from tests.standins.answers import Answer, Call
from tests.standins.model import StandinModel
from tests.support.background_project import Reader, make_project_apart
from tests.support.chat_ui import ChatUi
from tests.support.desk import ADA, ASKED, EVE, Desk, code, kinds, requests, response
from tests.support.gated_agents import AS_TOOL, GATED, HANDOFF, OWN_QUESTION, PER_CALL, SUBGRAPH
from tests.support.project import Server, text_of
from tests.support.rendering import FRAMEWORKS
from tests.support.ways import Body, in_background

pytestmark = [pytest.mark.generated, pytest.mark.usefixtures("strict")]
MEMORY = ("short_term", "background", "chat")
FEW = settings(max_examples=15, stateful_step_count=8, deadline=None)


@pytest.fixture(scope="module", params=FRAMEWORKS)
def desk(
    request: pytest.FixtureRequest,
    renders: Renders,
    tmp_path_factory: pytest.TempPathFactory,
    model: StandinModel,
) -> Iterator[Desk]:
    """Yield a running agent that asks before it sends letters."""
    project = make_project_apart(renders.template, request.param, tmp_path_factory, MEMORY)
    (project.folder / "agent_server" / "agent.py").write_text(GATED[request.param])
    letters = project.folder.parent / "letters"
    variables = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none", "SENT": str(letters)}
    with project.open_database() as url:
        variables["DATABASE_URL"] = url
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


def test_a_call_waits_in_a_conversation_that_is_under_way(desk: Desk) -> None:
    thread = str(uuid4())
    desk.say(thread, "My name is Ada")
    done = desk.answer(desk.ask("soon@x", thread=thread), True)
    assert "Sent to soon@x." in text_of(done) and desk.sent.count("soon@x") == 1
    history = json.loads(desk.model.requests[-1])["messages"]
    assert next(m["content"] for m in history if m["role"] == "user") == "My name is Ada"
    assert "Ada" in text_of(desk.say(thread, "What is my name?"))


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


def test_another_process_decides_what_a_dead_one_asked(desk: Desk) -> None:
    with Server(desk.project, **desk.variables) as other:
        asking = replace(desk, server=other.until_ready())
        asked = asking.ask("later@x")
        other.process.kill()
    assert "Sent to later@x." in text_of(desk.answer(asked, True))
    assert desk.sent.count("later@x") == 1


def stop_during_a_call(desk: Desk, to: str) -> tuple[Body, Body]:
    """Stop a process once it has made an approved call; return what it asked, and its answer."""
    place = {**desk.variables, "STOP_SECONDS": "1"}
    with Server(desk.project, **place) as other, ThreadPoolExecutor(1) as pool:
        asking = replace(desk, server=other.until_ready())
        asked = asking.ask(to)
        desk.model.delay, deadline = 30, monotonic() + 30
        said = pool.submit(asking.answer, asked, True)
        while to not in desk.sent and monotonic() < deadline:
            sleep(0.05)
        other.process.terminate()
        answer = said.result()
    desk.model.delay = 0
    return asked, answer


def test_a_process_that_must_stop_makes_a_call_once_and_the_thread_goes_on(desk: Desk) -> None:
    asked, answer = stop_during_a_call(desk, "stopped@x")
    assert code(answer) == "server_stopping" and "stopped@x" in desk.sent
    assert code(desk.answer(asked, True)) == "already_decided"
    thread = asked["custom_outputs"]["thread_id"]
    assert desk.say(thread, "Go on")["status"] == "completed" and desk.sent.count("stopped@x") == 1


def test_two_clicks_at_once_make_one_call(desk: Desk) -> None:
    asked = desk.ask("twice@x")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: desk.answer(asked, True), range(4)))
    assert desk.sent.count("twice@x") == 1
    codes = {code(answer) for answer in answers if answer.get("error")}
    assert codes <= {"already_decided", "thread_busy"} and len(answers) == 4


def test_a_chat_asks_and_goes_on_alike(desk: Desk) -> None:
    chat = str(uuid4())
    [asked] = requests(desk.chat(chat, "chat@x", message="Write to them"))
    done = desk.chat(chat, approval={"id": asked["id"], "approve": True})
    assert "Sent to chat@x." in text_of(done) and desk.sent.count("chat@x") == 1
    stored = desk.server.http.get(f"/api/chats/{chat}/messages", headers=ADA).json()
    roles = ["user", "assistant", "tool", "tool", "tool", "assistant"]
    assert [message["role"] for message in stored] == roles
    assert json.loads(stored[3]["content"]) == {"approval": asked["id"], "approve": True}


def test_a_chat_says_by_its_status_what_can_not_be_decided(desk: Desk) -> None:
    chat = str(uuid4())
    [asked] = requests(desk.chat(chat, "status@x", message="Write to them"))
    body = {"chatId": chat, "approval": {"id": asked["id"], "approve": False}}

    def status(who: dict[str, str], **other: Any) -> int:
        return desk.server.http.post("/api/chat", json={**body, **other}, headers=who).status_code

    assert (status(EVE), status(ADA, chatId=str(uuid4()))) == (404, 404)
    assert (status(ADA), status(ADA), desk.sent.count("status@x")) == (200, 409, 0)


def test_a_reader_of_text_alone_is_told_what_waits(desk: Desk) -> None:
    desk.model.script = [Answer(calls=(Call("send", '{"to": "text@x"}'),))]
    answer = desk.server.http.post("/api/chat", json={"message": "Write"}, headers=ADA)
    assert "waits for your approval: send" in answer.text and "text@x" not in desk.sent


def opened(desk: Desk, *to: str, **more: Any) -> ChatUi:
    """Return a conversation of Databricks' own chat UI, in which the model calls `send`."""
    calls = tuple(Call("send", json.dumps({"to": one})) for one in to)
    desk.model.script = [Answer("Well.", calls)]
    ui = ChatUi(desk.server.http, ADA)
    assert ui.say(more.pop("say", "Write to them"), **more).status_code == 200
    return ui


def test_databricks_chat_ui_approves_and_goes_on(desk: Desk) -> None:
    ui = opened(desk, "ui@x", say="My name is Ada. Write to them")
    assert "ui@x" not in desk.sent
    done = ui.decide(True)
    assert done and "Sent to ui@x." in done.text and desk.sent.count("ui@x") == 1
    for _ in range(2):
        assert "Ada" in ui.say("What is my name?").text
    assert desk.sent.count("ui@x") == 1


def test_databricks_chat_ui_denies_with_the_next_question(desk: Desk) -> None:
    ui = opened(desk, "deny@x")
    assert ui.decide(False) is None
    assert "Never mind" in ui.say("Never mind").text
    assert "did not approve" in str(desk.model.requests[-1]) and "deny@x" not in desk.sent
    assert ui.say("Thanks").status_code == 200 and "deny@x" not in desk.sent


def test_databricks_chat_ui_that_resends_an_approval_makes_no_second_call(desk: Desk) -> None:
    ui = opened(desk, "resend@x")
    ui.decide(True)
    before = [item for item in ui.history if item.get("role") != "assistant"]
    asked = before.index(next(item for item in before if item.get("type") == ASKED))
    again = ChatUi(ui.http, ADA, ui.id, before[: asked + 2]).send()
    assert again.status_code == 409 and desk.sent.count("resend@x") == 1
    assert ui.say("Thanks").status_code == 200 and desk.sent.count("resend@x") == 1


def test_databricks_chat_ui_falls_back_to_a_whole_answer_when_a_stream_fails(desk: Desk) -> None:
    ui = opened(desk, "fall@x", say="My name is Ada. Write to them")
    ui.decide(True)
    desk.model.script, desk.model.status = [], 500
    assert ui.say("What is my name?").status_code != 200
    desk.model.status = 200
    assert "Ada" in ui.send(stream=False).text and desk.sent.count("fall@x") == 1


def test_databricks_chat_ui_grows_no_thread_by_what_it_resends(desk: Desk) -> None:
    ui = opened(desk, "grow@x")
    ui.decide(True)
    for number in range(3):
        assert ui.say(f"question {number}").status_code == 200
    sent = json.loads(desk.model.requests[-1])["messages"]
    said = [str(m["content"]) for m in sent if m["role"] == "user"]
    assert len(said) == 4 and sum("question 0" in text for text in said) == 1


def test_databricks_chat_ui_decides_on_two_calls_one_after_the_other(desk: Desk) -> None:
    ui = opened(desk, "one@x", "two@x")
    ui.decide(True)
    done = ui.decide(True)
    assert done and done.status_code == 200, done and done.text
    assert (desk.sent.count("one@x"), desk.sent.count("two@x")) == (1, 1)


def test_databricks_chat_ui_never_decides_for_somebody_else(desk: Desk) -> None:
    ui = opened(desk, "theirs@x")
    ui.headers = EVE
    refused = ui.decide(True)
    assert refused and refused.status_code == 404 and "theirs@x" not in desk.sent


def test_databricks_chat_ui_gets_its_title(desk: Desk) -> None:
    assert ChatUi(desk.server.http, ADA).title("Write to them").status_code == 200


class Clerk(RuleBasedStateMachine):
    """A thread in which calls wait, and all that may happen to them, in any order."""

    desk: Desk

    def __init__(self) -> None:
        super().__init__()
        self.thread, self.asked, self.decided = str(uuid4()), list[Body](), dict[str, bool]()

    @rule(calls=integers(1, 2))
    def ask(self, calls: int) -> None:
        self._refuse_open()
        to = [f"{uuid4().hex}@x" for _ in range(calls)]
        body = self.desk.ask(*to, thread=self.thread, say=f"Write to {to}")
        self.asked += requests(body)

    @rule(what=sampled_from(["Never mind", "Something else"]))
    def say_something_else(self, what: str) -> None:
        self._refuse_open()
        assert self.desk.say(self.thread, f"{what} {uuid4()}")["status"] == "completed"

    @precondition(lambda self: self.asked)
    @rule(data=data(), approve=booleans(), headers=sampled_from([ADA, ADA, EVE]))
    def answer(self, data: DataObject, approve: bool, headers: Body) -> None:
        one = data.draw(sampled_from(self.asked))
        body = self.desk.say(self.thread, [response(one, approve)], headers=headers)
        if headers is EVE:
            assert code(body) == "no_such_approval"
        elif one["id"] in self.decided:
            assert code(body) == "already_decided"
        else:
            assert body["status"] == "completed"
            self.decided[one["id"]] = approve

    @invariant()
    def sends_what_was_approved_once_and_nothing_else(self) -> None:
        for asked in self.asked:
            made = self.desk.sent.count(json.loads(asked["arguments"])["to"])
            assert made <= (self.decided.get(asked["id"]) is True)

    def _refuse_open(self) -> None:
        for asked in self.asked:
            self.decided.setdefault(asked["id"], False)


def test_whatever_happens_no_call_is_made_unapproved_or_twice(desk: Desk) -> None:
    Clerk.desk = desk
    run_state_machine_as_test(Clerk, settings=FEW)


# Its framework, the agent, and what the model says before it calls `send`.
ELSEWHERE = {
    "per call": ("langgraph", PER_CALL, []),
    "subgraph": ("langgraph", SUBGRAPH, []),
    "handoff": ("openai", HANDOFF, [Call("transfer_to_clerk", "{}", "call_h")]),
    "agent as a tool": ("openai", AS_TOOL, [Call("ask_clerk", '{"input": "Write"}', "call_t")]),
}


@pytest.mark.parametrize(
    ("desk", "agent", "before"),
    [
        pytest.param(*case, marks=() if name in ("subgraph", "handoff") else pytest.mark.long)
        for name, case in ELSEWHERE.items()
    ],
    ids=ELSEWHERE,
    indirect=["desk"],
)
def test_it_waits_wherever_the_agent_asks(desk: Desk, agent: str, before: list[Call]) -> None:
    with another(desk, agent) as other:
        for to, yes in (("yes@x", True), ("no@x", False)):
            calls = [*before, Call("send", json.dumps({"to": to}), "call_s")]
            other.model.script = [Answer(calls=(call,)) for call in calls]
            asked = other.say(str(uuid4()), "Write to them")
            assert kinds(asked)[-1] == ASKED and to not in other.sent
            done = other.answer(asked, yes)
            assert done["status"] == "completed" and other.sent.count(to) == yes


@pytest.mark.parametrize("desk", ["langgraph"], indirect=True)
def test_a_node_may_ask_in_its_own_words(desk: Desk) -> None:
    with another(desk, OWN_QUESTION) as other:
        asked = other.say(str(uuid4()), "Write to them")
        assert requests(asked)[0]["name"] == "approve"
        assert text_of(other.answer(asked, False)) == "I did not write."
        asked = other.say(str(uuid4()), "Write to them")
        assert "Sent to ada@x." in text_of(other.answer(asked, True))


@pytest.mark.parametrize("desk", ["langgraph"], indirect=True)
def test_what_a_node_asked_before_another_message_is_not_done(desk: Desk) -> None:
    with another(desk, OWN_QUESTION) as other:
        thread = str(uuid4())
        asked, _ = other.say(thread, "Write to them"), other.say(thread, "Never mind")
        assert code(other.answer(asked, True)) == "already_decided"
        assert other.sent == []


@contextmanager
def another(desk: Desk, agent: str) -> Iterator[Desk]:
    """Yield the same project with another agent, and letters of its own."""
    place = desk.project.folder / "agent_server" / "agent.py"
    usual, letters = place.read_text(), desk.letters.with_name(str(uuid4()))
    place.write_text(agent)
    try:
        with Server(desk.project, **{**desk.variables, "SENT": str(letters)}) as server:
            yield replace(desk, server=server.until_ready(), letters=letters)
    finally:
        place.write_text(usual)
