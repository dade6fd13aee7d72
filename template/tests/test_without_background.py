"""Background responses are off: `copier update --trust -d memory=...` adds them."""

from tests.agent import Agent


def test_a_background_response_is_refused(agent: Agent) -> None:
    response = agent.post({"input": "hi", "background": True})
    assert response.status_code == 400
    assert "background" in response.json()["error"]["message"]
