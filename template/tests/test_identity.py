"""Who is asking."""

import httpx
import pytest

from agent_server.identity import User
from tests.agent import Agent


@pytest.mark.parametrize(
    ("user", "key"),
    [("ada", "ada"), ("a.b@c.io", "a%2Eb%40c%2Eio"), ("a/b%", "a%2Fb%25"), ("é", "%C3%A9")],
)
def test_a_key_is_safe_in_a_namespace_and_unique(user: str, key: str) -> None:
    assert User(user).key == key


@pytest.mark.parametrize("other", ["eve", ""])
def test_more_than_one_identity_is_refused(agent: Agent, other: str) -> None:
    twice = httpx.Headers([("X-Forwarded-User", "ada"), ("X-Forwarded-User", other)])
    response = agent.http.post("/responses", json={"input": "hi"}, headers=twice)
    assert response.status_code == 401


def test_a_deployed_app_refuses_a_request_without_a_user(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_APP_NAME", "my-agent")
    assert agent.http.post("/responses", json={"input": "hi"}).status_code == 401
