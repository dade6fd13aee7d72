"""A server that is told to stop: what it tells those it was answering, and what it leaves."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
import pytest

from tests.abuse.raw import answer, connect, head
from tests.standins.model import StandinModel, open_standin_model
from tests.support.project import Project, Server

pytestmark = pytest.mark.generated
# For what no framework has a part in.
once = pytest.mark.parametrize("project", ["langgraph"], indirect=True)
LONG = "/repeat 2000 every 20 ms"  # as a stream
Send = Callable[[Server], httpx.Response]


@dataclass(frozen=True)
class Stopped:
    """What became of a request that was under way when its server was told to stop."""

    response: httpx.Response | None  # none if the connection broke off
    log: str = field(repr=False)

    @property
    def code(self) -> str:
        """The code of the error that the client was told."""
        assert self.response and self.response.status_code == 503, self.response
        assert self.response.headers["Retry-After"]
        return str(self.response.json()["error"]["code"])


class Stops:
    """Starts servers, and stops them while they answer."""

    def __init__(self, project: Project, url: str, model: StandinModel) -> None:
        self._project, self._model = project, model
        place = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none", "DATABASE_URL": url}
        self._settings = {**place, "STOP_SECONDS": "2", "THREAD_WAIT_SECONDS": "1"}

    def start(self, *options: str) -> Server:
        """Start a server that gives its requests two seconds, and whose model answers at once."""
        self._model.delay = 0
        return Server(self._project, *options, **self._settings)

    def stop(
        self,
        send: Send,
        *options: str,
        delay: float = 30,
        stop: Callable[[Server], None] | None = None,
    ) -> Stopped:
        """Stop a server that waits for its model; return what the client was told."""
        with self.start(*options) as server, ThreadPoolExecutor(1) as pool:
            server.until_ready()
            self._model.delay = delay  # in seconds
            chunks, running = self._model.chunks, self._model.running
            future = pool.submit(send, server)
            _until(lambda: self._model.chunks > chunks or self._model.running > running)
            time.sleep(0.5)
            (stop or _terminate)(server)
            broken = isinstance(future.exception(), httpx.RemoteProtocolError)
            return Stopped(None if broken else future.result(), server.log)


@pytest.fixture(scope="module")
def stops(project: Project) -> Iterator[Stops]:
    """Yield what starts and stops servers on one Postgres."""
    with open_standin_model() as model, project.open_database() as url:
        yield Stops(project, url, model)


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _terminate(server: Server) -> None:
    server.process.send_signal(signal.SIGTERM)


def _turn(question: str, thread: str, stream: bool = False) -> Send:
    return _post("/responses", input=question, stream=stream, custom_inputs={"thread_id": thread})


def _post(path: str, **body: object) -> Send:
    return lambda server: server.http.post(path, json=body, headers={"X-Forwarded-User": "ada"})


def test_a_turn_that_takes_too_long_is_told_to_come_back(stops: Stops) -> None:
    assert stops.stop(_turn("hello", "long")).code == "server_stopping"


@once
def test_ctrl_c_ends_a_turn_as_properly(stops: Stops) -> None:
    def interrupt(server: Server) -> None:
        server.process.send_signal(signal.SIGINT)

    assert stops.stop(_turn("hello", "interrupted"), stop=interrupt).code == "server_stopping"


def test_a_turn_that_ends_in_time_is_answered(stops: Stops) -> None:
    response = stops.stop(_turn("hello", "short"), delay=1).response
    assert response and response.status_code == 200


def test_a_stream_ends_with_the_reason(stops: Stops) -> None:
    response = stops.stop(_turn(LONG, "stream", stream=True), delay=0).response
    assert response
    *_, failed, done = [x for x in response.text.split("\n") if x.startswith("data:")]
    assert done == "data: [DONE]"
    event = json.loads(failed.removeprefix("data: "))
    assert event["type"] == "response.failed"
    assert event["response"]["error"]["code"] == "server_stopping"


def test_a_stream_of_text_is_visibly_cut_off(stops: Stops) -> None:
    assert stops.stop(_post("/api/chat", message=LONG), delay=0).response is None


def test_a_turn_that_was_ended_leaves_its_thread_usable(stops: Stops) -> None:
    with stops.start() as server:
        server.until_ready().ask("My name is Ada", "ended")
    assert stops.stop(_turn("hello", "ended")).code == "server_stopping"
    with stops.start() as server:
        assert "Ada" in server.until_ready().ask("What is my name?", "ended")


@once
def test_an_answer_of_a_chat_that_nobody_reads_is_kept_as_far_as_it_came(stops: Stops) -> None:
    body, user = {"message": LONG}, {"X-Forwarded-User": "ada"}
    with stops.start() as server:
        server.until_ready()
        with server.http.stream("POST", "/api/chat", json=body, headers=user) as answer:
            chat = answer.headers["x-chat-id"]
            next(answer.iter_text())
        time.sleep(0.5)
        server.stop()
    with stops.start() as server:
        *_, kept = server.until_ready().http.get(f"/api/chats/{chat}/messages", headers=user).json()
        assert kept["partial"] and kept["role"] == "assistant" and kept["content"]
        again = {"chatId": chat, "message": "hello"}
        assert server.http.post("/api/chat", json=again, headers=user).status_code == 200


@once
def test_no_request_is_taken_after_the_signal(stops: Stops) -> None:
    late: list[int] = []

    def stop(server: Server) -> None:
        _terminate(server)
        for _ in range(20):
            try:
                late.append(httpx.get(f"http://127.0.0.1:{server.port}/api/me").status_code)
            except httpx.TransportError:  # the port is closed
                late.append(503)

    stops.stop(_turn("hello", "late"), stop=stop)
    assert set(late[1:]) == {503}


@once
def test_every_worker_ends_what_it_was_answering(stops: Stops) -> None:
    stopped = stops.stop(_turn("hello", "workers"), "--workers", "2")
    assert stopped.code == "server_stopping" and "Traceback" not in stopped.log


@pytest.mark.long
@once
def test_a_reload_ends_what_it_was_answering(stops: Stops, project: Project) -> None:
    def reload(server: Server) -> None:
        prompts = project.folder / "agent_server" / "prompts.py"
        prompts.write_text(prompts.read_text())
        _until(lambda: "Finished server process" in server.log)
        server.until_ready()

    assert stops.stop(_turn("hello", "reload"), "--reload", stop=reload).code == "server_stopping"


@once
def test_a_request_that_waits_for_its_body_is_told_so(stops: Stops) -> None:
    with stops.start() as server:
        server.until_ready()
        waiting = connect(server, head("Content-Length: 100"), b"{")
        time.sleep(0.5)
        _terminate(server)
        status, text = answer(waiting)
    assert status == 503 and "server_stopping" in text
