"""Each user's share of requests and turns at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from agent_server.errors import ApiError
from agent_server.server.shares import Shares
from tests.agent import Agent


@pytest.fixture
def shares(monkeypatch: pytest.MonkeyPatch) -> Shares:
    monkeypatch.setenv("REQUESTS_PER_USER", "2")
    monkeypatch.setenv("REQUESTS_PER_PROCESS", "3")
    return Shares("REQUESTS")


def refusal(shares: Shares, user: str) -> tuple[int, str]:
    with pytest.raises(ApiError) as refused, shares.take(user):
        raise AssertionError("it was not refused")
    assert refused.value.headers and refused.value.headers["Retry-After"]
    return refused.value.status_code, refused.value.detail


def test_a_user_takes_no_more_than_their_share(shares: Shares) -> None:
    with shares.take("ada"), shares.take("ada"):
        status, text = refusal(shares, "ada")
        assert status == 429 and "2 requests" in text
        with shares.take("bob"):
            pass


def test_all_users_together_take_no_more_than_there_is(shares: Shares) -> None:
    with shares.take("ada"), shares.take("ada"), shares.take("bob"):
        status, text = refusal(shares, "eve")
        assert status == 503 and "3 requests" in text


def test_a_share_is_given_back_however_its_use_ends(shares: Shares) -> None:
    for _ in range(5):
        with pytest.raises(KeyError), shares.take("ada"):
            raise KeyError
    with shares.take("ada"), shares.take("ada"):
        pass


def test_a_user_with_too_many_turns_is_told_so_and_another_is_answered(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREGROUND_TURNS_PER_USER", "1")
    body = {"input": "/repeat 20 every 50 ms", "stream": True}
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: agent.post(body), range(3)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 2 and refused[0].headers["retry-after"]
    assert agent.ask("hello") and Agent(agent.http, f"{agent.user}.else").ask("hello")


def test_health_is_answered_whoever_has_how_many_requests(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_PER_USER", "1")
    headers, body = agent.headers, {"input": "/repeat 20 every 50 ms", "stream": True}
    with agent.http.stream("POST", "/responses", json=body, headers=headers):
        assert agent.post({"input": "hello"}).status_code == 429
        for path in ("/health", "/ready"):
            assert agent.http.get(path, headers=headers).status_code == 200
