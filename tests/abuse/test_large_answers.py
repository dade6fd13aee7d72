"""Answers, tool outputs, exports and pages that are much larger than anyone needs."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import Any
from uuid import uuid4

import pytest

from tests.abuse.honest_user import assert_memory_returns, honest_user, memory_of
from tests.standins.model import StandinModel
from tests.support.background_project import Reader, begin
from tests.support.project import Server

pytestmark = pytest.mark.generated
MIB = 2**20
LARGE = 100 * 10**6
PIECES_OF_10_KB = 10**4
MOST = 450 * MIB  # that an attack may take besides what the server has when idle
USER = {"X-Forwarded-User": "eve"}


def in_one_piece() -> Iterable[str]:
    """Yield an answer of 100 MB at once."""
    return ["x" * LARGE]


def in_many_pieces() -> Iterable[str]:
    """Yield an answer of 100 MB, 10 kB at a time."""
    return repeat("x" * 10**4, PIECES_OF_10_KB)


@contextmanager
def watched_memory(server: Server) -> Iterator[list[int]]:
    """Yield a list that gets the server's memory, in bytes, every 50 ms."""
    samples, ended = [memory_of(server)], threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            samples.append(memory_of(server))

    thread = threading.Thread(target=watch)
    thread.start()
    yield samples
    ended.set()
    thread.join()


PIECES = (in_one_piece, in_many_pieces)


@pytest.fixture(autouse=True)
def healthy(model: StandinModel) -> Iterator[None]:
    """Let every test end with a model that works."""
    yield
    model.pieces = None


@pytest.fixture
def idle(server: Server) -> int:
    """Return the memory of a server that has answered a turn, in bytes."""
    server.ask("hello", uuid4().hex)
    return memory_of(server)


def whole(server: Server) -> dict[str, Any]:
    """Return the error of an answer that is not streamed."""
    answer = server.post("hello", uuid4().hex, "eve")
    assert answer.status_code == 502, answer.text[:1000]
    return dict(answer.json()["error"])


def streamed(server: Server) -> dict[str, Any]:
    """Return the error of a stream, before it or at its end."""
    answer = server.post("hello", uuid4().hex, "eve", stream=True)
    if answer.status_code != 200:
        return dict(answer.json()["error"])
    last = [line for line in answer.text.splitlines() if line.startswith("data: {")][-1]
    return dict(json.loads(last[6:])["response"]["error"])


def chat(server: Server) -> dict[str, Any]:
    """Return the error of an answer in a chat."""
    body, headers = {"message": "hello"}, {**USER, "Accept": "text/event-stream"}
    answer = server.http.post("/api/chat", json=body, headers=headers)
    last = [line for line in answer.text.splitlines() if line.startswith("data: {")][-1]
    return dict(json.loads(last[6:])["response"]["error"])


def in_background(server: Server) -> dict[str, Any]:
    """Return the error of a background response."""
    events = Reader(server, begin(server, "hello", uuid4().hex, "eve"), user="eve").wait().events
    return dict(events[-1]["response"]["error"])


WAYS = (whole, streamed, chat, in_background)


@pytest.mark.parametrize("pieces", PIECES, ids=lambda made: made.__name__)
@pytest.mark.parametrize("ask", WAYS, ids=lambda way: way.__name__)
def test_an_answer_that_is_too_large_ends_early_and_says_so(
    server: Server,
    model: StandinModel,
    idle: int,
    ask: Callable[[Server], dict[str, Any]],
    pieces: Callable[[], Iterable[str]],
) -> None:
    model.pieces, model.chunks = pieces(), 0
    with watched_memory(server) as samples:
        error = ask(server)
    assert error["code"] == "output_too_large" and "bytes" in error["message"]
    assert max(samples) < idle + MOST, f"{max(samples) / MIB:.0f} MiB, {idle / MIB:.0f} when idle"
    assert model.chunks < PIECES_OF_10_KB / 2, "the answer was read to its end"


def test_a_large_answer_of_one_is_nobody_elses_trouble(
    server: Server, model: StandinModel, idle: int
) -> None:
    with honest_user(server):
        for ask in WAYS:
            model.pieces = in_many_pieces()
            ask(server)
            model.pieces = None
            time.sleep(0.5)
    assert_memory_returns(server, idle)
