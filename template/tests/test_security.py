"""Other web sites can't write here, and pages served here can't run their scripts."""

import pytest

from agent_server.transport.hosts import refuse_host
from tests.agent import Agent


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_may_not_write(agent: Agent, site: str) -> None:
    assert agent.post({"input": "hi"}, **{"Sec-Fetch-Site": site}).status_code == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_page_itself_may_write(agent: Agent, site: str) -> None:
    assert agent.post({"input": "hi"}, **{"Sec-Fetch-Site": site}).status_code == 200


def test_the_origin_decides_if_a_browser_sends_no_site(agent: Agent) -> None:
    here = str(agent.http.base_url).rstrip("/")
    assert agent.post({"input": "hi"}, Origin=here).status_code == 200
    assert agent.post({"input": "hi"}, Origin="https://evil.example.com").status_code == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_form_of_another_site_is_refused(agent: Agent, kind: str) -> None:
    headers = {**agent.headers, "Content-Type": kind}
    answer = agent.http.post("/responses", content=b'{"input": "hi"}', headers=headers)
    assert answer.status_code == 415
    assert "application/json" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/health", "/nowhere", "/"])
def test_every_answer_has_security_headers(agent: Agent, path: str) -> None:
    headers = agent.http.get(path).headers
    assert "require-trusted-types-for 'script'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_what_can_be_opened_in_a_window_has_a_policy_and_a_script_need_not(agent: Agent) -> None:
    if agent.http.get("/").status_code == 404:
        pytest.skip("there is no page")
    for path in ("/static/logo.svg", "/static/manifest.webmanifest", "/static/nothing.js"):
        assert "content-security-policy" in agent.http.get(path).headers
    headers = agent.http.get("/static/app.js").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" not in headers


@pytest.mark.parametrize("path", ["/", "/health", "/responses/r"])
def test_a_name_that_is_not_this_servers_is_refused(agent: Agent, path: str) -> None:
    answer = agent.http.get(path, headers={"Host": "evil.example.com"})
    assert answer.status_code == 421
    assert "evil.example.com" in answer.text and "ALLOWED_HOSTS" in answer.text


def test_the_server_is_called_by_its_port_on_this_machine(agent: Agent) -> None:
    for host in ("localhost", "LOCALHOST.:8000", "127.0.0.1:80", "[::1]:8000"):
        assert agent.http.get("/health", headers={"Host": host}).status_code == 200


def test_a_body_with_two_lengths_is_refused(agent: Agent) -> None:
    headers = {"Transfer-Encoding": "chunked", "Content-Length": "2"}
    assert agent.http.post("/responses", content=iter([b"{}"]), headers=headers).status_code == 400


def test_a_user_with_control_characters_is_refused(agent: Agent) -> None:
    headers = {b"X-Forwarded-User": b"eve\x1b[2J"}
    answer = agent.http.post("/responses", json={"input": "hi"}, headers=headers)
    assert answer.status_code in (400, 401)  # by the parser, or by what reads the header


@pytest.mark.parametrize("host", [b"10.1.2.3:8000", b"192.168.1.5", b"[fd00::1]:80"])
def test_an_address_is_answered_only_where_a_network_reaches_the_server(host: bytes) -> None:
    headers = [(b"host", host)]
    assert refuse_host({"headers": headers, "server": ("10.1.2.3", 8000)}) is None
    assert refuse_host({"headers": headers, "server": ("127.0.0.1", 8000)})
    assert refuse_host({"headers": headers, "server": ("::ffff:127.0.0.1", 8000)})


def test_a_name_is_foreign_even_where_a_network_reaches_the_server() -> None:
    headers = [(b"host", b"evil.example.com")]
    assert refuse_host({"headers": headers, "server": ("10.1.2.3", 8000)})
