"""A project on a machine with a proxy, or with a .env in another encoding."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.standins.http_proxy import HttpProxy, open_http_proxy
from tests.standins.model import open_standin_model
from tests.support.project import Project, Server

pytestmark = pytest.mark.generated
# For what no framework has a part in.
once = pytest.mark.parametrize("project", ["langgraph"], indirect=True)
UNUSABLE = {
    "ALL_PROXY": "socks5://user:secret@proxy.example:1080",
    "all_proxy": "socks4://proxy.example:1080",
    "HTTP_PROXY": "http://proxy.example:port",
    "https_proxy": "://",
}
OUTSIDE = {"OPENAI_BASE_URL": "https://models.example/v1"}


@pytest.fixture
def proxy() -> Iterator[HttpProxy]:
    """Yield a proxy that counts."""
    with open_http_proxy() as proxy:
        yield proxy


@pytest.fixture
def env_file(project: Project) -> Iterator[Path]:
    """Yield the path of the project's .env, which is removed in the end."""
    path = project.folder / ".env"
    yield path
    path.unlink(missing_ok=True)


def refused(project: Project, **variables: str) -> str:
    """Return what start-app says when it does not start."""
    pipe = subprocess.PIPE
    start = project.start("start-app", variables=variables, stdout=pipe, stderr=subprocess.STDOUT)
    said, _ = start.communicate(timeout=60)
    assert start.returncode == 2, said
    return str(said)


def test_the_first_hello_is_answered_behind_a_proxy(project: Project, proxy: HttpProxy) -> None:
    with Server(project, **proxy.variables) as server:
        assert "hello" in server.until_ready().ask("hello")
        assert "remember" in server.ask("Remember that I like teal")
    assert proxy.asked == []


def test_a_model_on_this_machine_is_reached_directly(project: Project, proxy: HttpProxy) -> None:
    with open_standin_model() as model:
        place = {"OPENAI_BASE_URL": model.url.replace("127.0.0.1", "localhost")}
        with Server(project, **place, **proxy.variables) as server:
            assert "hello" in server.until_ready().ask("hello")
    assert proxy.asked == []


def test_a_model_elsewhere_is_asked_through_the_proxy(project: Project, proxy: HttpProxy) -> None:
    with Server(project, **OUTSIDE, **proxy.variables, NO_PROXY="other.example"):
        deadline = time.monotonic() + 60
        while not any("models.example" in line for line in proxy.asked):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_proxies_that_can_not_be_used_do_not_disturb_an_offline_project(project: Project) -> None:
    with Server(project, **UNUSABLE) as server:
        assert "hello" in server.until_ready().ask("hello")


@once
@pytest.mark.parametrize("name", UNUSABLE)
def test_a_proxy_that_is_needed_and_can_not_be_used_is_named(project: Project, name: str) -> None:
    said = refused(project, **{name: UNUSABLE[name]}, **OUTSIDE)
    assert name in said and len(said.strip().splitlines()) == 1, said
    assert "secret" not in said and ("socksio" in said) == (name == "ALL_PROXY")


@once
@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
def test_a_file_of_settings_is_read_in_the_encodings_that_editors_write(
    project: Project, env_file: Path, encoding: str
) -> None:
    env_file.write_text("MAX_STEPS=many\nAPP_TITLE=ä\n", encoding)
    said = refused(project)
    assert "MAX_STEPS" in said and "many" in said and "Traceback" not in said


@once
@pytest.mark.parametrize("content", [b"A=\xff\xe4\n", "A=b\n".encode("utf-16-le")])
def test_a_file_of_settings_that_can_not_be_read_is_named(
    project: Project, env_file: Path, content: bytes
) -> None:
    env_file.write_bytes(content)
    said = refused(project)
    assert ".env" in said and "UTF-8" in said and len(said.strip().splitlines()) == 1, said
