"""What is measured: a project that speaks the Responses API, ours or another."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.client import PLAIN, make_text
from tests.support.project import Project, free_port

START_SECONDS = 180
USER = {"X-Forwarded-User": "ada"}
SCHEMA = "LAKEBASE_AGENT_MEMORY_SCHEMA"


@dataclass(frozen=True)
class Subject:
    """A project, and the program that starts its server."""

    name: str
    project: Project
    command: str = "start-app"

    @contextmanager
    def serve(self, variables: dict[str, str], *options: str) -> Iterator["Running"]:
        """Yield its server once it has answered a turn."""
        with tempfile.TemporaryFile("w+") as log:
            port = free_port()
            more = {SCHEMA: f"bench_{self.name}".lower(), **variables}
            begun = time.monotonic()
            process = self.project.start(
                self.command, "--port", str(port), *options, variables=more,
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
            running = Running(self.name, process, f"http://127.0.0.1:{port}")
            try:
                running.healthy = self._until("GET", "/health", running) - begun
                running.answered = self._until("POST", "/responses", running) - begun
                yield running
            except TimeoutError:
                log.seek(0)
                print(log.read()[-4000:])
                raise
            finally:
                process.terminate()
                process.wait(30)

    def _until(self, method: str, path: str, running: "Running") -> float:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and running.process.poll() is None:
            try:
                body = running.question("first", "hello") if method == "POST" else None
                answer = httpx.request(
                    method, running.url + path, json=body, headers=USER, timeout=60
                )
                if answer.is_success:
                    return time.monotonic()
            except httpx.TransportError:
                pass
            time.sleep(0.02)
        raise TimeoutError(f"{self.name}: {path} did not answer")


@dataclass
class Running:
    """A running server."""

    name: str
    process: "subprocess.Popen[str]"
    url: str
    healthy: float = 0.0  # seconds after its start
    answered: float = 0.0

    def cpu(self) -> float:
        """Return the milliseconds of processor time that it has taken so far."""
        times = [process.cpu_times() for process in self._processes()]
        return 1000 * sum(spent.user + spent.system for spent in times)

    def memory(self) -> float:
        """Return the megabytes that only its processes hold."""
        return sum(process.memory_full_info().uss for process in self._processes()) / 1e6

    def _processes(self) -> list[psutil.Process]:
        main = psutil.Process(self.process.pid)
        return [main, *main.children(recursive=True)]

    def question(self, thread: str, text: str, **more: Any) -> dict[str, Any]:
        """Return the body of a request; each project takes its own name of a thread."""
        place = {"thread_id": thread, "session_id": thread, "user_id": "ada"}
        message = {"role": "user", "content": text}
        return {"input": [message], "custom_inputs": place, **more}


@dataclass(frozen=True)
class Talk:
    """A user's connection to a server."""

    running: Running
    http: httpx.Client

    def say(self, thread: str, text: str, **more: Any) -> str:
        """Run a turn, and return the body of the response."""
        body = self.running.question(thread, text, **more)
        response = self.http.post("/responses", json=body)
        assert response.status_code == 200, response.text
        return response.text

    def turns(self, thread: str, first: int, count: int, **more: Any) -> None:
        """Run turns, each with a question of about sixty words of its own."""
        for number in range(first, first + count):
            self.say(thread, f"{PLAIN.format(number)} {make_text(number)}", **more)


@contextmanager
def open_talk(running: Running, user: str = "ada") -> Iterator[Talk]:
    """Yield a connection."""
    headers = {"X-Forwarded-User": user}
    with httpx.Client(base_url=running.url, timeout=120, headers=headers) as http:
        yield Talk(running, http)


def other(folder: Path, environment: Path, command: str) -> Subject:
    """Return a project that somebody else has made, installed in `environment`."""
    return Subject("public", Project(folder, environment), command)
