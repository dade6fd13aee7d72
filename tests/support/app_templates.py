"""Databricks' own templates, from a clone of databricks/app-templates, and a server of one."""

import io
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from lakebase_agent.project.answers import read_adopted
from tests.standins.workspace import BRANCH, INSTANCE, PROJECT, Workspace
from tests.support.project import Project, free_port, text_of
from tests.support.releases import commit, git

MODEL = "databricks-gpt-5-2"  # which the templates name
# Some commits import it without requiring it, to make it print less.
UNDECLARED = "litellm"
LAKEBASE = {
    "autoscaling": {
        "LAKEBASE_AUTOSCALING_PROJECT": PROJECT,
        "LAKEBASE_AUTOSCALING_BRANCH": BRANCH,
    },
    "provisioned": {"LAKEBASE_INSTANCE_NAME": INSTANCE},
}
# What a template says at the start if its owner has to fill something in first.
UNFINISHED = ("Configure at least one subagent",)


def agents_at(clone: Path, at: str, home: Path) -> Iterator[Path]:
    """Yield the folders of agents at a commit, each a project in git."""
    names = git(clone, "ls-tree", "--name-only", at).split()
    for name in (name for name in names if name.startswith("agent-")):
        command = ["git", "archive", at, name]
        archive = subprocess.run(command, cwd=clone, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(home, filter="data")
        git(home / name, "init", "--quiet")
        commit(home / name)
        yield home / name


class NotFinishedError(Exception):
    """The template does not start before its owner has filled something in."""


@dataclass
class Served:
    """An agent's server, in one process."""

    process: "subprocess.Popen[str]"
    port: int
    log: Path

    def ask(self, question: str, thread: str, user: str = "ada") -> str:
        """Return the answer, as soon as the server is up."""
        inputs = {"thread_id": thread, "session_id": thread}  # which of them, differs
        message = {"role": "user", "content": question}
        body = {"input": [message], "custom_inputs": inputs}
        url, headers = f"http://127.0.0.1:{self.port}/invocations", {"X-Forwarded-User": user}
        deadline = time.monotonic() + 240
        while True:
            try:
                response = httpx.post(url, json=body, headers=headers, timeout=120)
                break
            except httpx.ConnectError:
                self._check_runs(time.monotonic() < deadline)
                time.sleep(0.3)
        assert response.status_code == 200, f"{response.text}\n{self.log.read_text()[-3000:]}"
        return text_of(response.json())

    def _check_runs(self, in_time: bool) -> None:
        said = self.log.read_text()
        if self.process.poll() is not None and any(text in said for text in UNFINISHED):
            raise NotFinishedError
        assert in_time and self.process.poll() is None, said[-3000:]


def installed(folder: Path, environment: Path) -> Project:
    """Return an agent with its packages, and with what it imports but does not require."""
    project = Project(folder, environment)
    project.uv("sync", "--quiet")
    [packages] = environment.glob("lib/python*/site-packages")
    if not (packages / UNDECLARED).exists():
        (packages / f"{UNDECLARED}.py").touch()
    return project


@contextmanager
def served(project: Project, workspace: Workspace, schema: str) -> Iterator[Served]:
    """Yield an agent's server in a workspace, on the kind of Lakebase that it is for."""
    variables = workspace.variables(
        MLFLOW_TRACKING_URI="databricks", MLFLOW_EXPERIMENT_ID="1001",
        LAKEBASE_AGENT_MEMORY_SCHEMA=schema, **LAKEBASE[read_adopted(project.folder)["lakebase"]],
    )  # fmt: skip
    port, log = free_port(), project.folder / "server.log"
    with log.open("w") as out:
        process = project.start(
            "start-server", "--port", str(port), variables=variables, stdout=out, stderr=out
        )
    try:
        yield Served(process, port, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
