"""Answers, tool outputs, exports and pages that are much larger than anyone needs."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.abuse.honest_user import assert_memory_returns, honest_user, memory_of
from tests.standins.model import StandinModel
from tests.support.background_project import Reader, begin
from tests.support.project import Server

pytestmark = pytest.mark.generated
MIB = 2**20
LARGE = 100 * 10**6
PIECES_OF_10_KB = 10**4
MOST = 300 * MIB  # that an attack may take besides what the server has when idle
Rich = tuple[dict[str, str], str]  # a user's headers, and a chat
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
    model.pieces, model.only_to, model.calls, model.arguments = None, b"", "", "{}"


@pytest.fixture
def idle(server: Server) -> int:
    """Return the memory of a server that has answered in each of its ways, in bytes."""
    server.ask("hello", uuid4().hex)
    for how in ("stream", "background"):
        assert server.post("hello", uuid4().hex, "ada", **{how: True}).status_code == 200
    assert server.http.post("/api/chat", json={"message": "hello"}).status_code == 200
    return memory_of(server)


def whole(server: Server) -> dict[str, Any]:
    """Return the error of an answer that is not streamed."""
    answer = server.post("tell me all", uuid4().hex, "eve")
    assert answer.status_code == 502, answer.text[:1000]
    return dict(answer.json()["error"])


def streamed(server: Server) -> dict[str, Any]:
    """Return the error of a stream, before it or at its end."""
    answer = server.post("tell me all", uuid4().hex, "eve", stream=True)
    if answer.status_code != 200:
        return dict(answer.json()["error"])
    last = [line for line in answer.text.splitlines() if line.startswith("data: {")][-1]
    return dict(json.loads(last[6:])["response"]["error"])


def chat(server: Server) -> dict[str, Any]:
    """Return the error of an answer in a chat."""
    body, headers = {"message": "tell me all"}, {**USER, "Accept": "text/event-stream"}
    answer = server.http.post("/api/chat", json=body, headers=headers)
    last = [line for line in answer.text.splitlines() if line.startswith("data: {")][-1]
    return dict(json.loads(last[6:])["response"]["error"])


def in_background(server: Server) -> dict[str, Any]:
    """Return the error of a background response."""
    events = (
        Reader(server, begin(server, "tell me all", uuid4().hex, "eve"), user="eve").wait().events
    )
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
    model.pieces = pieces()
    with watched_memory(server) as samples:
        error = ask(server)
    assert error["code"] == "output_too_large" and "bytes" in error["message"]
    assert max(samples) < idle + MOST, f"{max(samples) / MIB:.0f} MiB, {idle / MIB:.0f} when idle"


def test_a_large_answer_of_one_is_nobody_elses_trouble(
    server: Server, model: StandinModel, idle: int
) -> None:
    with honest_user(server):
        for ask in (streamed, chat, in_background):
            model.pieces, model.only_to = in_many_pieces(), b"tell me all"
            assert ask(server)["code"] == "output_too_large"
    assert_memory_returns(server, idle)


@pytest.mark.parametrize("stream", [True, False])
def test_what_a_tool_returns_is_cut_off_for_everybody(
    server: Server, model: StandinModel, stream: bool
) -> None:
    answer = server.post('/call large {"size": 5000000}', uuid4().hex, "eve", stream=stream)
    assert answer.status_code == 200 and "Cut off here" in answer.text
    result = json.loads(model.requests[-1])["messages"][-1]["content"]
    assert "of 5000000 bytes" in result and len(result) < 1.1 * MIB


@pytest.mark.parametrize("stream", [True, False])
def test_arguments_that_are_too_large_end_the_turn_with_a_reason(
    server: Server, model: StandinModel, stream: bool
) -> None:
    model.calls, model.arguments = "echo", json.dumps({"text": "x" * 2 * MIB})
    answer = server.post("hello", thread := uuid4().hex, "eve", stream=stream)
    model.calls = ""
    assert "output_too_large" in answer.text
    server.ask("hello", thread, "eve")


@pytest.fixture
def rich(server: Server, database: str) -> Rich:
    """Return a user with a chat of 100 messages of 4 MiB each."""
    user = {"X-Forwarded-User": f"{uuid4().hex}@example.com"}
    chat = server.http.post("/api/chat", json={"message": "hello"}, headers=user)
    with psycopg.connect(database, autocommit=True) as connection:
        query = "SELECT schemaname FROM pg_tables WHERE tablename = 'messages'"
        [schema] = connection.execute(query).fetchone() or [""]
        connection.execute(
            f"INSERT INTO {schema}.messages (chat_id, role, content) "
            "SELECT %s, 'assistant', n || repeat('x', 4194304) FROM generate_series(1, 100) n",
            [chat.headers["X-Chat-Id"]],
        )
    return user, chat.headers["X-Chat-Id"]


def test_an_export_of_400_mib_is_streamed(server: Server, idle: int, rich: Rich) -> None:
    user, _ = rich
    size = 0
    attack = server.http.stream("GET", "/api/me/export", headers=user)
    with honest_user(server), watched_memory(server) as samples, attack as answer:
        for part in answer.iter_raw():
            size += len(part)
    assert size > 400 * MIB
    assert max(samples) < idle + MOST, f"{max(samples) / MIB:.0f} MiB"


def test_an_export_that_is_not_read_to_its_end_frees_its_connection(
    server: Server, rich: Rich
) -> None:
    for _ in range(30):  # more than there are connections
        with server.http.stream("GET", "/api/me/export", headers=rich[0]) as answer:
            assert answer.status_code in (200, 429)
    assert "hello" in server.ask("hello", uuid4().hex)


def test_an_export_that_fails_on_the_way_is_no_whole_file(
    server: Server, database: str, rich: Rich
) -> None:
    with server.http.stream("GET", "/api/me/export", headers=rich[0]) as answer:
        parts = answer.iter_raw()
        next(parts)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%'"
            )
        with pytest.raises(httpx.RemoteProtocolError):
            list(parts)


def test_one_user_has_one_export_at_a_time(server: Server, rich: Rich) -> None:
    with server.http.stream("GET", "/api/me/export", headers=rich[0]):
        second = server.http.get("/api/me/export", headers=rich[0])
    assert second.status_code == 429 and second.headers["Retry-After"]
    assert second.json()["error"]["code"] == "export_running"


def test_a_page_of_large_messages_is_short_and_says_where_the_next_begins(
    server: Server, idle: int, rich: Rich
) -> None:
    user, chat = rich
    path = f"/api/chats/{chat}/messages?limit=200"
    seen: list[str] = []
    with honest_user(server), watched_memory(server) as samples:
        while path:
            page = server.http.get(path, headers=user)
            assert 0 < len(page.json()) < 4 and len(page.content) < 6 * MIB
            seen = [message["id"] for message in page.json()] + seen
            path = page.links.get("prev", {}).get("url", "")
    assert len(seen) == len(set(seen)) == 102
    assert max(samples) < idle + MOST, f"{max(samples) / MIB:.0f} MiB"
