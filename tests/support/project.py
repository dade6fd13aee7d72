"""A generated project on this machine: install it, run its commands, start its server."""

import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

FOREIGN = (
    "DATABRICKS_", "LAKEBASE_", "MLFLOW_", "OPENAI_", "DATABASE_URL", "LOG_LEVEL", "VIRTUAL_ENV",
    "PYTHON",
)  # fmt: skip
SERVICES = """
import json, sys
from local.services import open_services
with open_services(postgres=True, model=False) as variables:
    print(json.dumps(variables), flush=True)
    sys.stdin.read()
"""


def clean_environment() -> dict[str, str]:
    """Return this process's environment, without what would steer a project."""
    return {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}


# A project's tests that wait for limits to be reached; they know only the template's own code.
WAITING = (
    "test_connections", "test_isolation", "test_leases", "test_shares", "test_slots",
    "test_watchdog",
)  # fmt: skip


@dataclass(frozen=True)
class Project:
    """A rendered project, whose packages are in `environment`."""

    folder: Path
    environment: Path

    def uv(self, *arguments: str) -> str:
        """Run a uv command in the project and return what it printed; fail when it fails."""
        done = subprocess.run(
            ["uv", *arguments], cwd=self.folder, env=self._variables({}), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"uv {' '.join(arguments)}\n{done.stdout}"
        return done.stdout

    def run_tests(self, *, briefly: bool = False) -> None:
        """Run the project's own tests; `briefly`, without those that mostly wait."""
        left_out = WAITING if briefly else ()
        there = [f"tests/{name}.py" for name in left_out]
        ignored = [f"--ignore={test}" for test in there if (self.folder / test).exists()]
        assert " passed" in self.uv("run", "pytest", "-q", *ignored)

    def start(self, command: str, *arguments: str, **more: Any) -> "subprocess.Popen[str]":
        """Start one of the project's programs."""
        variables = self._variables(more.pop("variables", {}))
        program = self.environment / ("Scripts" if sys.platform == "win32" else "bin") / command
        return subprocess.Popen(
            [program, *arguments], cwd=self.folder, env=variables, text=True, **more
        )

    @contextmanager
    def open_database(self) -> Iterator[str]:
        """Yield the URL of the project's embedded Postgres."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with self.start("python", "-c", SERVICES, **pipes) as holder:
            assert holder.stdout and holder.stdin
            yield json.loads(holder.stdout.readline())["DATABASE_URL"]
            holder.stdin.close()

    def _variables(self, more: Mapping[str, str]) -> dict[str, str]:
        place = {"UV_PROJECT_ENVIRONMENT": str(self.environment)}
        return {**clean_environment(), **place, **more}


def install(folder: Path, environment: Path) -> Project:
    """Return the project in `folder`, with its packages in `environment`.

    What the same requirements resolve to is asked of the package index once, and kept beside the
    environment. What does not fit a lock, uv resolves again.
    """
    project, lock = Project(folder, environment), folder / "uv.lock"
    digest = hashlib.sha256((folder / "pyproject.toml").read_bytes()).hexdigest()
    kept = environment.parent / f"{digest}.lock"
    if kept.exists() and not lock.exists():
        shutil.copy(kept, lock)
    project.uv("sync", "--quiet")
    shutil.copy(lock, kept)
    return project


class Server:
    """A project's server, in a process of its own."""

    def __init__(self, project: Project, *options: str, port: str = "", **variables: str) -> None:
        self._log = project.folder / f"server-{time.monotonic_ns()}.log"
        self.port = int(port or free_port())
        with self._log.open("w") as log:
            self.process = project.start(
                "start-app", "--port", str(self.port), *options, variables=variables,
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    @property
    def log(self) -> str:
        """What the server printed so far."""
        return self._log.read_text()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def until_ready(self) -> "Server":
        """Return when a turn would work."""
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.http.get("/ready").status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise TimeoutError(f"the server did not get ready:\n{self.log}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the server, politely or not."""
        self.process.send_signal(how)
        self.process.wait(20)
        self.http.close()

    def post(self, question: Any, thread: str = "", user: str = "ada", **more: Any) -> Any:
        """Send a turn and return the HTTP response."""
        inputs = {"custom_inputs": {"thread_id": thread}} if thread else {}
        body = {"input": question, **inputs, **more}
        return self.http.post("/responses", json=body, headers={"X-Forwarded-User": user})

    def ask(self, question: Any, thread: str = "", user: str = "ada") -> str:
        """Return the text of the answer."""
        response = self.post(question, thread, user)
        assert response.status_code == 200, f"{response.text}\n{self.log}"
        return text_of(response.json())


def text_of(response: dict[str, Any]) -> str:
    """Return the text of a response's messages."""
    messages = [item for item in response["output"] if item["type"] == "message"]
    return "".join(part["text"] for item in messages for part in item["content"])


def free_port() -> int:
    """Return a port that nothing listens on, and that no connection is given as its own."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
