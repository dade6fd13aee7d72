"""Generated projects to measure: rendered from the working tree, in a folder that goes away."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.project import Project
from tests.support.rendering import Combination, copy_template, render

Variables = dict[str, str]

FRAMEWORKS = {"langgraph": "LangGraph", "openai": "OpenAI"}
MEMORY = ("short_term", "long_term")
# asyncio switches Nagle's algorithm off only for a socket that names its protocol; with it, every
# answer comes 40 ms late, and would be taken for the cost of a turn.
MODEL = """
import socket, uvicorn
from local.model import build_model_app
listener = socket.socket(proto=socket.IPPROTO_TCP)
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(build_model_app(), log_level="error")).run(sockets=[listener])
"""


@contextmanager
def open_project(
    framework: str, *options: str, memory: tuple[str, ...] = MEMORY
) -> Iterator[Project]:
    """Yield a project with that memory, its packages installed with `options` of `uv sync`."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        root = Path(name)
        template = copy_template(root / "template")
        folder = render(template, Combination(framework, memory, "local"), root / "project")
        project = Project(folder, root / "environment")
        report(f"{framework}: installing")
        project.uv("sync", "--quiet", "--no-compile-bytecode", *options)
        yield project


@contextmanager
def open_services(project: Project) -> Iterator[Variables]:
    """Yield what leads a server to the project's own Postgres and model, in processes apart."""
    with project.open_database() as url, _open_model(project) as model:
        yield {"DATABASE_URL": url, "OPENAI_BASE_URL": model, "OPENAI_API_KEY": "none"}


@contextmanager
def _open_model(project: Project) -> Iterator[str]:
    with project.start("python", "-c", MODEL, stdout=subprocess.PIPE) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.terminate()


def report(progress: str) -> None:
    """Say what is going on, apart from the results."""
    print(f"... {progress}", flush=True)
