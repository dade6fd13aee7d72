"""An agent answers rightly, whatever a real endpoint answers."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Renders
from tests.standins.answers import (
    Answer,
    Call,
    cited,
    cut_off,
    filtered,
    gpt_oss,
    list_and_string,
    prompt_filtered,
    reasoning_field,
    refusal,
    too_many,
    web_page,
)
from tests.standins.model import StandinModel, open_standin_model
from tests.support.background_project import Reader, begin, make_project
from tests.support.project import Server
from tests.support.rendering import FRAMEWORKS

pytestmark = pytest.mark.generated
MEMORY = ("short_term", "background", "chat")
ADA = {"X-Forwarded-User": "ada"}


@pytest.fixture(scope="module")
def model() -> Iterator[StandinModel]:
    """Yield a model server."""
    with open_standin_model() as model:
        yield model


@pytest.fixture(scope="module", params=FRAMEWORKS)
def server(
    request: pytest.FixtureRequest,
    renders: Renders,
    tmp_path_factory: pytest.TempPathFactory,
    model: StandinModel,
) -> Iterator[Server]:
    """Yield a running agent."""
    folder = tmp_path_factory.mktemp("any") / "my-agent"
    place = tmp_path_factory.mktemp("environment")
    project = make_project(renders.template, request.param, folder, place, MEMORY)
    with Server(project, OPENAI_BASE_URL=model.url, OPENAI_API_KEY="none") as server:
        yield server.until_ready()


@pytest.fixture(autouse=True)
def strict(model: StandinModel) -> Iterator[None]:
    """Let the model refuse what real endpoints refuse, and behave again afterwards."""
    model.strict = True
    yield
    model.reset()


Body = dict[str, Any]


def whole(server: Server, question: str, thread: str) -> Body:
    """Return the response of a foreground turn, or its error."""
    return dict(server.post(question, thread).json())


def streamed(server: Server, question: str, thread: str) -> Body:
    """Return the last state of a streamed response, or its error."""
    answer = server.post(question, thread, stream=True)
    return last_of(answer) if answer.status_code == 200 else dict(answer.json())


def in_chat(server: Server, question: str, thread: str) -> Body:
    """Return the last state of an answer in a chat."""
    body, headers = {"message": question, "chatId": thread}, {**ADA, "Accept": "text/event-stream"}
    answer = server.http.post("/api/chat", json=body, headers=headers)
    return last_of(answer) if answer.status_code == 200 else dict(answer.json())


def in_background(server: Server, question: str, thread: str) -> Body:
    """Return a background response."""
    events = Reader(server, begin(server, question, thread)).wait().events
    return dict(events[-1]["response"])


def last_of(answer: Any) -> Body:
    lines = [line for line in answer.text.splitlines() if line.startswith("data: {")]
    return dict(json.loads(lines[-1][6:])["response"])


WAYS = [whole, streamed, in_chat, in_background]
Ask = Callable[[Server, str, str], Body]
every_way = pytest.mark.parametrize("ask", WAYS, ids=lambda way: way.__name__)


def text_of(body: Body) -> str:
    messages = [item for item in body["output"] if item["type"] == "message"]
    return "".join(part["text"] for item in messages for part in item["content"])


def thoughts_of(body: Body) -> str:
    items = [item for item in body["output"] if item["type"] == "reasoning"]
    return "".join(part["text"] for item in items for part in item["summary"])


def sent(model: StandinModel) -> str:
    """Return the history that the model was sent last."""
    return json.dumps(json.loads(model.requests[-1])["messages"])


THINKING = {
    "lists": gpt_oss("I ponder.", "Hello Ada."),
    "list, then text": list_and_string("I ponder.", "Hello Ada."),
    "beside": reasoning_field("I ponder.", "Hello Ada."),
    "openrouter": reasoning_field("I ponder.", "Hello Ada.", "reasoning"),
}


@every_way
@pytest.mark.parametrize("shape", THINKING)
def test_reasoning_is_told_as_reasoning_and_not_sent_back(
    server: Server, model: StandinModel, ask: Ask, shape: str
) -> None:
    thread = str(uuid4())
    model.script = [THINKING[shape]]
    body = ask(server, "hello", thread)
    assert (text_of(body), thoughts_of(body)) == ("Hello Ada.", "I ponder.")
    ask(server, "again", thread)
    assert "Hello Ada." in sent(model) and "ponder" not in sent(model)


@every_way
def test_citations_are_annotations(server: Server, model: StandinModel, ask: Ask) -> None:
    model.script = [cited("As the docs say.", "https://example.com/a", "The docs")]
    body = ask(server, "hello", str(uuid4()))
    [annotation] = body["output"][-1]["content"][0]["annotations"]
    assert (annotation["type"], annotation["url"]) == ("url_citation", "https://example.com/a")


@every_way
def test_a_refusal_is_an_answer(server: Server, model: StandinModel, ask: Ask) -> None:
    thread = str(uuid4())
    model.script = [refusal("I can't help with that.")]
    body = ask(server, "hello", thread)
    assert (body["status"], text_of(body)) == ("completed", "I can't help with that.")
    assert ask(server, "again", thread)["status"] == "completed"


ENDS = {
    "max_output_tokens": cut_off("The beginning of"),
    "content_filter": filtered("The beginning of"),
}


@every_way
@pytest.mark.parametrize("reason", ENDS)
def test_an_answer_that_was_cut_off_is_incomplete(
    server: Server, model: StandinModel, ask: Ask, reason: str
) -> None:
    thread = str(uuid4())
    model.script = [ENDS[reason]]
    body = ask(server, "hello", thread)
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert text_of(body) == "The beginning of"
    assert ask(server, "again", thread)["status"] == "completed"


@every_way
@pytest.mark.parametrize("answer", [filtered(), prompt_filtered()], ids=["answer", "prompt"])
def test_what_a_filter_leaves_nothing_of_is_refused(
    server: Server, model: StandinModel, ask: Ask, answer: Answer
) -> None:
    thread = str(uuid4())
    model.script = [answer]
    assert ask(server, "something bad", thread)["error"]["code"] == "content_filtered"
    assert ask(server, "hello", thread)["status"] == "completed"
    assert "something bad" not in sent(model)


@pytest.mark.parametrize("ask", [whole, streamed], ids=lambda way: way.__name__)
def test_a_web_page_is_the_models_failure(server: Server, model: StandinModel, ask: Ask) -> None:
    model.script = [web_page()]
    assert ask(server, "hello", str(uuid4()))["error"]["code"] == "model_failed"


def test_a_limit_on_requests_says_when_to_come_again(server: Server, model: StandinModel) -> None:
    model.script = [too_many(7)] * 5
    answer = server.post("hello")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


UNREADABLE = ["{", "no JSON", '["a"]', "null", '{"text": "cut of']


@pytest.mark.parametrize("arguments", UNREADABLE)
@pytest.mark.parametrize("ask", [whole, streamed], ids=lambda way: way.__name__)
def test_unreadable_arguments_are_told_to_the_model_and_nothing_is_repeated(
    server: Server, model: StandinModel, ask: Ask, arguments: str
) -> None:
    thread = str(uuid4())
    ask(server, "first", thread)
    model.script = [Answer("Let me see.", (Call("echo", arguments),)), Answer("I could not.")]
    assert text_of(ask(server, "second", thread)).endswith("I could not.")
    model.script = [Answer("Third answer.")]
    body = ask(server, "third", thread)
    assert [item["type"] for item in body["output"]] == ["message"]
    assert text_of(body) == "Third answer."


IDS = {"repeated": ("a", "a"), "empty": ("", ""), "of the last turn": ("call_1", "call_2")}


@every_way
@pytest.mark.parametrize("ids", IDS)
def test_calls_keep_their_own_results_whatever_their_ids(
    server: Server, model: StandinModel, ask: Ask, ids: str
) -> None:
    thread = str(uuid4())
    model.script = [Answer(None, (Call("echo", '{"text": "zero"}', "call_1"),)), Answer("Zero.")]
    ask(server, "before", thread)
    first, second = IDS[ids]
    calls = Call("echo", '{"text": "one"}', first), Call("echo", '{"text": "two"}', second)
    model.script = [Answer(None, calls), Answer("Done.")]
    body = ask(server, "both", thread)
    outputs = [item for item in body["output"] if item["type"] == "function_call_output"]
    assert sorted(item["output"] for item in outputs) == ["one", "two"]
    assert len({item["call_id"] for item in outputs}) == 2
    assert ask(server, "next", thread)["status"] == "completed"


@every_way
def test_a_tool_that_does_not_exist_is_told_to_the_model(
    server: Server, model: StandinModel, ask: Ask
) -> None:
    model.script = [Answer(None, (Call("nothing"),)), Answer("There is none.")]
    assert text_of(ask(server, "hello", str(uuid4()))) == "There is none."


@every_way
def test_too_many_steps_leave_an_incomplete_answer(
    server: Server, model: StandinModel, ask: Ask
) -> None:
    thread = str(uuid4())
    model.script = [Answer(None, (Call("echo", '{"text": "x"}'),))] * 120
    body = ask(server, "for ever", thread)
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_steps"})
    model.script = []
    assert ask(server, "hello", thread)["status"] == "completed"


def test_a_chat_keeps_the_answer_of_a_tool_server_and_its_text(
    server: Server, model: StandinModel
) -> None:
    chat = str(uuid4())
    model.script = [gpt_oss("I ponder.", "Hello Ada.")]
    in_chat(server, "hello", chat)
    kept = server.http.get(f"/api/chats/{chat}/messages", headers=ADA).json()
    assert [m["content"] for m in kept] == ["hello", "Hello Ada."]


def test_text_mode_holds_the_text_alone(server: Server, model: StandinModel) -> None:
    model.script = [gpt_oss("I ponder.", "Hello Ada.")]
    answer = server.http.post("/api/chat", json={"message": "hello"}, headers=ADA)
    assert answer.text == "Hello Ada."
