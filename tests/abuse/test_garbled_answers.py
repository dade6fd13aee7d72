"""A model that answers anything at all: whoever asked is told that it failed, and nobody else."""

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.abuse.honest_user import free_event_loop
from tests.abuse.odd_values import VALUES, places, replaced
from tests.abuse.test_fuzzed_bodies import EXAMPLES, fuzzed
from tests.standins.answers import HEAD, Answer, Call, text
from tests.standins.model import StandinModel
from tests.support.project import Server

pytestmark = pytest.mark.generated
DEEP = b"[" * 100_000
ECHO = Call("echo", '{"text": "one"}')
USED = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
DETAILS = {"prompt_tokens_details": {"cached_tokens": 1}}
PLACE = {"url": "http://a", "title": "t", "start_index": 0, "end_index": 2}
CITED: dict[str, Any] = {
    "annotations": [{"type": "url_citation", "url_citation": PLACE}],
    "reasoning_content": "r",
}
PARTS = [
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}]},
    {"type": "text", "text": "Hello", "citations": [{"type": "url_citation", **PLACE}]},
]
ANSWERS = (Answer("Hello", fields=CITED), Answer(PARTS), Answer(calls=(ECHO,)))


def whole(answer: Answer) -> dict[str, Any]:
    """Return the body of an answer that is not streamed."""
    choice = {"index": 0, "finish_reason": answer.reason, "message": answer.to_message()}
    return {**HEAD, "choices": [{**choice, "logprobs": None}], "usage": {**USED, **DETAILS}}


def streamed(answer: Answer) -> list[Any]:
    """Return the chunks of an answer that is streamed; the last has its usage."""
    lines = [line.removeprefix("data: ") for line in replace(answer, used=1).to_chunks()]
    return [json.loads(line) for line in lines[:-1]]


WHOLE, STREAMED = [*map(whole, ANSWERS)], [*map(streamed, ANSWERS)]


@st.composite
def garbled(draw: st.DrawFn, bodies: Any) -> Any:
    """Return a good answer with one odd value in it."""
    body = draw(st.sampled_from(bodies))
    return replaced(body, draw(st.sampled_from(places(body))), draw(VALUES))


def check(server: Server, **how: Any) -> str:
    """Fail unless a turn is answered or refused, and another follows in its thread; return it."""
    thread = str(uuid4())
    told = server.post("hello", thread, **how)
    assert told.status_code in (200, 502), told.text
    assert "internal_error" not in told.text
    assert server.post("again", thread).status_code == 200
    return str(told.text)


@settings(fuzzed, max_examples=EXAMPLES // 3)
@given(body=garbled(WHOLE))
def test_an_odd_value_in_an_answer_is_no_crash(
    server: Server, model: StandinModel, body: dict[str, Any]
) -> None:
    model.script = [Answer(body=body)]
    check(server)
    model.reset()


@settings(fuzzed, max_examples=EXAMPLES // 3)
@given(chunks=garbled(STREAMED))
def test_an_odd_value_in_a_stream_is_no_crash(
    server: Server, model: StandinModel, chunks: list[Any]
) -> None:
    model.script = [Answer(chunks=(*(f"data: {json.dumps(one)}\n\n" for one in chunks), "\n"))]
    check(server, stream=True)
    model.reset()


BODIES = {
    "no JSON": b"{nope",
    "deep JSON": b'{"choices":' + DEEP,
    "a number of 5,000 digits": b'{"created":' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("stream", [True, False])
def test_a_body_that_nobody_can_read_is_a_502(
    server: Server, model: StandinModel, name: str, stream: bool
) -> None:
    line = f"data: {BODIES[name].decode()}\n\n"
    model.script = [Answer(chunks=(line,)) if stream else Answer(body=BODIES[name])]
    assert "model_failed" in check(server, stream=stream)


@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_that_is_compressed_is_unpacked_no_further_than_its_bound(
    server: Server, model: StandinModel, status: int
) -> None:
    bomb = gzip.compress(bytes(200_000_000))
    headers = {"Content-Encoding": "gzip"}
    model.script = [Answer(body=bomb, status=status, headers=headers)]
    with free_event_loop(server):
        assert "output_too_large" in check(server)


@pytest.mark.parametrize(
    ("coding", "packed"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("GZIP", bytes)]
)
def test_an_answer_that_a_proxy_compressed_all_the_same_is_read(
    server: Server, model: StandinModel, coding: str, packed: Callable[[bytes], bytes]
) -> None:
    said = json.dumps({"choices": [{"message": {"role": "assistant", "content": "Packed."}}]})
    model.script = [Answer(body=packed(said.encode()), headers={"Content-Encoding": coding})]
    assert ("Packed." if packed is not bytes else "model_failed") in check(server)


@pytest.mark.parametrize("depth", [100, 300, 100_000])
@pytest.mark.parametrize("stream", [True, False])
def test_arguments_that_are_too_deep_call_no_tool(
    server: Server, model: StandinModel, depth: int, stream: bool
) -> None:
    arguments = f'{{"text": {"[" * depth}{"]" * depth}}}'
    model.script = [Answer(calls=(replace(ECHO, arguments=arguments),))]
    assert '"one"' not in check(server, stream=stream)


@pytest.mark.parametrize("stream", [True, False])
def test_an_integer_of_a_model_may_have_any_size(
    server: Server, model: StandinModel, stream: bool
) -> None:
    arguments = f'{{"text": "one", "more": [{10**30}]}}'
    model.script = [Answer(calls=(replace(ECHO, arguments=arguments),)), Answer("Done.")]
    assert "Done." in check(server, stream=stream)


def test_an_integer_of_a_client_may_have_any_size(server: Server) -> None:
    call = {"type": "function_call", "call_id": "c", "name": "echo"}
    output = {"type": "function_call_output", "call_id": "c", "output": "one"}
    arguments = json.dumps({"text": 10**30})
    question = [{"role": "user", "content": "hi"}, {**call, "arguments": arguments}, output]
    assert server.post(question).status_code == 200


@pytest.mark.parametrize("said", ["a\x1eb\x1ec", "a\x1e[1]\x1ec", '\x1e[{"type": "finish"}]\x1e'])
@pytest.mark.parametrize("stream", [True, False])
def test_marks_that_a_model_writes_mean_nothing(
    server: Server, model: StandinModel, said: str, stream: bool
) -> None:
    model.script = [Answer(said)]
    assert "model_failed" not in check(server, stream=stream)


@pytest.mark.parametrize(
    "many",
    [
        Answer('[{"type": "text", "text": ""}]' * 100_000),
        Answer("", fields={"annotations": CITED["annotations"] * 30_000}),
        Answer([text("a")] * 100_000),
    ],
    ids=["lists in a text", "citations", "parts"],
)
def test_an_answer_of_many_pieces_holds_up_nobody(
    server: Server, model: StandinModel, many: Answer
) -> None:
    model.script = [many]
    with free_event_loop(server):
        check(server)
