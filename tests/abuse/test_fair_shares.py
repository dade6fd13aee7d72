"""Shares of a server: nobody's runs, requests or crashes use up what another user needs."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.abuse.honest_user import honest_user
from tests.standins.model import StandinModel
from tests.support.background_project import Reader, begin, read
from tests.support.project import Project, Server

pytestmark = pytest.mark.generated
SLOW = "/repeat 1000 every 300 ms"
SHORT = "/repeat 30 every 50 ms"
# So that a death is noticed soon, and suspects start soon after each other.
HASTY = {
    "HEARTBEAT_SECONDS": "1", "ABANDONED_SECONDS": "3", "SUSPECT_SECONDS": "4",
    "LEASE_SECONDS": "3", "LEASE_RENEWAL_SECONDS": "1",
}  # fmt: skip
FINISHED = ("completed", "failed")


@pytest.fixture
def user() -> str:
    """Return somebody who has not asked for anything yet."""
    return uuid4().hex


@pytest.fixture(scope="module")
def variables(database: str, model: StandinModel) -> dict[str, str]:
    """Return what makes further servers of the same app."""
    return {"DATABASE_URL": database, "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}


def test_a_chat_is_answered_while_two_users_have_all_the_runs_they_may(
    server: Server, user: str
) -> None:
    server.ask("hello", user=user)  # a server's first turn takes longer
    with honest_user(server), _busy(server, "greedy", 20), _busy(server, "greedier", 20):
        began = time.monotonic()
        answer = _chat(server, user, "hello")
        assert answer.status_code == 200 and "hello" in answer.text
        assert time.monotonic() - began < 10


def test_a_run_that_waits_is_queued_and_says_so(server: Server, user: str) -> None:
    with _busy(server, user, 8):
        waiting = begin(server, "hello", uuid4().hex, user)
        seen = Reader(server, waiting, user=user)
        _until(lambda: len(seen.events) == 2)
        assert [e["type"] for e in seen.events] == ["response.created", "response.queued"]
        assert read(server, waiting, user)["status"] == "queued"
    assert seen.wait().events[-1]["type"] == "response.completed"


def test_a_user_begins_exactly_as_many_runs_as_allowed(
    agent: Project, variables: dict[str, str], server: Server, user: str
) -> None:
    with Server(agent, **variables) as other, ThreadPoolExecutor(30) as pool:
        servers = [server, other.until_ready()] * 15
        answers = list(pool.map(lambda s: _begin(s, user), servers))
        assert Counter(a.status_code for a in answers) == {200: 20, 429: 10}
        refused = next(a for a in answers if a.status_code == 429)
        assert refused.headers["Retry-After"] and "20 unfinished" in refused.text
        _cancel(server, user, [a.json()["id"] for a in answers if a.status_code == 200])


def test_a_run_that_finds_its_process_full_is_run_by_another(
    agent: Project, variables: dict[str, str], server: Server, user: str
) -> None:
    with Server(agent, **variables, BACKGROUND_RUNS_PER_PROCESS="4") as small:
        small.until_ready()
        with _busy(small, user, 4):
            seen = Reader(server, begin(small, "hello", uuid4().hex, user), user=user).wait()
            assert seen.events[-1]["type"] == "response.completed"
            assert _chat(small, "somebody", "hello").status_code == 200


def test_a_run_that_kills_its_process_twice_fails_and_no_other_does(
    agent: Project, variables: dict[str, str], user: str
) -> None:
    question = '/call slow {"seconds": 2, "file": "/dev/null"}'
    with Server(agent, **variables, **HASTY) as first:
        innocent = [begin(first.until_ready(), question, uuid4().hex, user) for _ in range(3)]
        guilty = begin(first, "/call die {}", uuid4().hex, user)
        first.process.wait(30)
    with Server(agent, **variables, **HASTY) as second:
        second.process.wait(60)
    with Server(agent, **variables, **HASTY) as third:
        assert _ends(third.until_ready(), user, [*innocent, guilty]) == [
            *["completed"] * 3,
            "failed",
        ]
        assert "died each time" in read(third, guilty, user)["error"]["message"]


def test_one_users_turns_at_once_are_bounded_and_leave_the_others_theirs(
    server: Server, user: str
) -> None:
    with honest_user(server) as honest, ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: server.post(SHORT, "one thread", user), range(40)))
        refused = [a for a in answers if a.status_code == 429]
        assert len(refused) >= 24 and all(a.headers["Retry-After"] for a in refused)
        assert "16 foreground turns" in refused[0].text
    assert {turn.status_code for turn in honest.turns} == {200}
    assert server.post("hello", user=user).status_code == 200


def test_one_users_requests_at_once_are_bounded_and_leave_the_others_theirs(
    server: Server, user: str
) -> None:
    waiting = begin(server, SLOW, uuid4().hex, user)
    with honest_user(server), _reading(server, waiting, user, 64):
        _until(lambda: _me(server, user).status_code == 429)
        refused = _me(server, user)
        assert refused.headers["Retry-After"] and "64 requests" in refused.text
        assert _me(server, "somebody").status_code == 200
    _until(lambda: _me(server, user).status_code == 200)
    _cancel(server, user, [waiting])


def test_users_who_are_many_are_told_that_the_server_is_busy(
    agent: Project, variables: dict[str, str]
) -> None:
    with Server(agent, **variables, FOREGROUND_TURNS_PER_PROCESS="4") as small:
        small.until_ready()
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda n: small.post(SHORT, user=f"u{n}"), range(12)))
        busy = [a for a in answers if a.status_code == 503]
        assert busy and all(a.headers["Retry-After"] and "busy" in a.text for a in busy)
        assert small.post("hello").status_code == 200


def _me(server: Server, user: str) -> httpx.Response:
    return server.http.get("/api/me", headers={"X-Forwarded-User": user})


@contextmanager
def _reading(server: Server, response_id: str, user: str, readers: int) -> Iterator[None]:
    """Follow a response with many readers at once while the body runs."""
    with ExitStack() as stack:
        for _ in range(readers):
            http = stack.enter_context(httpx.Client(base_url=server.http.base_url, timeout=60))
            path = f"/responses/{response_id}?stream=true"
            stack.enter_context(http.stream("GET", path, headers={"X-Forwarded-User": user}))
        yield


def _chat(server: Server, user: str, message: str) -> httpx.Response:
    body = {"message": message}
    return server.http.post("/api/chat", json=body, headers={"X-Forwarded-User": user})


def _begin(server: Server, user: str) -> httpx.Response:
    response: httpx.Response = server.post(SLOW, uuid4().hex, user, background=True)
    return response


@contextmanager
def _busy(server: Server, user: str, runs: int) -> Iterator[None]:
    """Keep a user's background runs running while the body does."""
    ids = [begin(server, SLOW, uuid4().hex, user) for _ in range(runs)]
    try:
        yield
    finally:
        _cancel(server, user, ids)


def _cancel(server: Server, user: str, ids: list[str]) -> None:
    for response_id in ids:
        headers = {"X-Forwarded-User": user}
        server.http.post(f"/responses/{response_id}/cancel", headers=headers)


def _ends(server: Server, user: str, ids: list[str]) -> list[Any]:
    """Return how the runs ended, once all have."""
    _until(lambda: all(read(server, i, user)["status"] in FINISHED for i in ids))
    return [read(server, response_id, user)["status"] for response_id in ids]


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
