"""An agent answers rightly, whatever a real endpoint answers."""

import json
import os
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

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
from tests.standins.model import StandinModel
from tests.standins.no_files import NO_FILES
from tests.standins.odd_streams import BROKEN, ECHO, ODD, ODD_CALLS, SAID
from tests.support.background_project import make_project_apart
from tests.support.project import Server, text_of
from tests.support.rendering import FRAMEWORKS
from tests.support.talk import Talk
from tests.support.ways import ADA, Ask, Body, every_way, in_chat, streamed, whole

pytestmark = [pytest.mark.generated, pytest.mark.usefixtures("strict")]
MEMORY = ("short_term", "background", "chat")


@pytest.fixture(scope="module", params=FRAMEWORKS)
def server(
    request: pytest.FixtureRequest,
    renders: Renders,
    tmp_path_factory: pytest.TempPathFactory,
    model: StandinModel,
) -> Iterator[Server]:
    """Yield a running agent."""
    project = make_project_apart(renders.template, request.param, tmp_path_factory, MEMORY)
    with Server(project, OPENAI_BASE_URL=model.url, OPENAI_API_KEY="none") as server:
        yield server.until_ready()


# In CI; `ABUSE_EXAMPLES` makes them more.
TALKS = 2 * int(os.environ.get("ABUSE_EXAMPLES", "6"))
ONE_LONG = ["langgraph", pytest.param("openai", marks=pytest.mark.long)]


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


def test_a_limit_may_be_a_date(server: Server, model: StandinModel) -> None:
    busy = too_many(0)
    busy.headers["Retry-After"] = formatdate(time.time() + 90, usegmt=True)
    model.script = [replace(busy, headers={**busy.headers, "x-should-retry": "false"})]
    assert 80 < int(server.post("hello").headers["retry-after"]) <= 90


def test_a_model_that_fails_once_is_asked_again(server: Server, model: StandinModel) -> None:
    model.script = [Answer(status=503, body={"message": "starting"}), Answer(SAID)]
    assert text_of(whole(server, "hello", str(uuid4()))) == SAID


@pytest.mark.parametrize("ask", [whole, streamed])
def test_an_endpoint_that_resets_its_connections_costs_one_turn(
    server: Server, model: StandinModel, ask: Ask
) -> None:
    thread, model.resets = str(uuid4()), 2**31
    refused = server.post("lost", thread, stream=ask is streamed)
    error = {"code": "model_failed", "message": "The model failed to answer. Try again."}
    assert refused.status_code == 502 and refused.json()["error"].items() >= error.items()
    model.resets = 1  # which the client gets over
    assert ask(server, "lost", thread)["status"] == "completed"
    assert sent(model).count("lost") == 1


@pytest.mark.parametrize("shape", ODD)
def test_an_odd_stream_is_read_as_it_is_meant(
    server: Server, model: StandinModel, shape: str
) -> None:
    thread = str(uuid4())
    model.script = [ODD[shape]]
    body = streamed(server, "hello", thread)
    assert (text_of(body), body["status"]) == (SAID, "completed")
    assert streamed(server, "again", thread)["status"] == "completed"


@pytest.mark.parametrize("shape", ODD_CALLS)
def test_calls_in_odd_pieces_are_told_apart(
    server: Server, model: StandinModel, shape: str
) -> None:
    thread = str(uuid4())
    model.script = [ODD_CALLS[shape], Answer("Done.")]
    body = streamed(server, "hello", thread)
    results = [i["output"] for i in body["output"] if i["type"] == "function_call_output"]
    assert (sorted(results), text_of(body)) == (["one", "two"], "Done.")
    assert streamed(server, "again", thread)["status"] == "completed"


@pytest.mark.parametrize("shape", BROKEN)
def test_a_stream_that_breaks_off_is_never_taken_for_whole(
    server: Server, model: StandinModel, shape: str
) -> None:
    thread = str(uuid4())
    model.script = [BROKEN[shape]]
    told = streamed(server, "hello", thread)
    assert told["error"]["code"] == "model_failed" and "secret" not in str(told)
    assert streamed(server, "hello", thread)["status"] == "completed"


def test_tokens_that_are_counted_in_every_piece_are_counted_once(
    server: Server, model: StandinModel
) -> None:
    model.script = [Answer(("He", "llo ", "Ada."), used=7)]
    assert streamed(server, "hello", str(uuid4()))["usage"]["input_tokens"] == 7


@pytest.mark.parametrize("arguments", [{"text": "one"}, ECHO])
def test_arguments_may_be_an_object(server: Server, model: StandinModel, arguments: Any) -> None:
    model.script = [Answer(None, (Call("echo", arguments),)), Answer("Done.")]
    assert whole(server, "hello", str(uuid4()))["output"][1]["output"] == "one"


LOOK = [{"type": "input_text", "text": "look"}]


def image(name: str) -> list[Body]:
    """Return a question with an image that no other test has."""
    url = f"data:image/png;base64,{b64encode(name.encode()).decode()}"
    return [{"role": "user", "content": [*LOOK, {"type": "input_image", "image_url": url}]}]


@pytest.mark.parametrize("provider", NO_FILES)
def test_a_thread_goes_on_without_images_that_its_model_does_not_take(
    server: Server, model: StandinModel, provider: str
) -> None:
    thread = str(uuid4())
    whole(server, image(provider), thread)
    model.no_files = provider
    for ask in (whole, streamed):
        body = ask(server, "and now?", thread)
        assert (body["status"], body["custom_outputs"]["files_left_out"]) == ("completed", 1)
        assert "look\\n[An image was left out here" in sent(model)
    before = len(model.requests)
    whole(server, "again", thread)
    assert len(model.requests) == before + 1  # it is known by now


def test_images_are_sent_again_once_the_model_takes_them(
    server: Server, model: StandinModel
) -> None:
    thread = str(uuid4())
    model.no_files = "openai"
    assert whole(server, image("new"), thread)["error"]["code"] == "files_refused"
    model.no_files = ""
    assert "files_left_out" not in whole(server, image("new"), thread)["custom_outputs"]
    assert "files_left_out" not in whole(server, "and now?", thread)["custom_outputs"]
    assert "data:image/png" in sent(model)


def test_a_refusal_for_another_reason_leaves_images_where_they_are(
    server: Server, model: StandinModel
) -> None:
    thread = str(uuid4())
    whole(server, image("other"), thread)
    model.script = [Answer(status=400, body={"error": {"message": "no"}})] * 2
    assert "error" in whole(server, "bad", thread)
    body = whole(server, "good", thread)
    assert "files_left_out" not in body["custom_outputs"] and "data:image/png" in sent(model)


@pytest.mark.parametrize("server", ONE_LONG, indirect=True)
def test_whatever_happens_the_model_is_sent_each_question_once_and_in_order(
    server: Server, model: StandinModel
) -> None:
    Talk.server, Talk.model = server, model
    sizes = settings(max_examples=TALKS, stateful_step_count=8, deadline=None)
    run_state_machine_as_test(Talk, settings=sizes)


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
