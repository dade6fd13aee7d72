"""A generated project with background responses, and what its tests ask of it."""

import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.project import Project, Server, install
from tests.support.rendering import Combination, render

MEMORY = ("short_term", "long_term", "background")
TERMINAL = {f"response.{end}" for end in ("completed", "failed", "cancelled")}
# A tool that takes its time, and says on disk how often it ran.
SLOW_TOOL = '''

{decorator}
async def slow(seconds: float, file: str) -> str:
    """Take some seconds, and leave a line in a file."""
    import asyncio
    from pathlib import Path

    with Path(file).open("a") as lines:
        lines.write("called\\n")
    await asyncio.sleep(seconds)
    return "slept"


{decorator}
async def large(size: int) -> str:
    """Return so many letters."""
    return "x" * size


{decorator}
async def die() -> str:
    """End the process, as one that runs out of memory does."""
    import os

    os._exit(1)


{decorator}
async def echo(text: str) -> str:
    """Return the text."""
    return text


{decorator}
async def rude() -> str:
    """Return text that can't be stored."""
    return "a\\0b\\ud800c\\ud83d\\ude00"


{list} += [slow, large, die, echo, rude]
'''
DECORATORS = {"langgraph": "@tool", "openai": "@function_tool"}


def make_project(
    template: Path,
    framework: str,
    folder: Path,
    environment: Path,
    memory: tuple[str, ...] = MEMORY,
) -> Project:
    """Return an installed project with a slow tool."""
    render(template, Combination(framework, memory, "local"), folder)
    tools = folder / "agent_server" / "tools.py"
    code = tools.read_text()
    if framework == "langgraph":
        code = code.replace("return [get_current_time]", "return [get_current_time, *TOOLS]")
        code += "\n\nTOOLS: list[BaseTool] = []\n"
    tools.write_text(code + SLOW_TOOL.format(decorator=DECORATORS[framework], list="TOOLS"))
    return install(folder, environment)


def make_project_apart(
    template: Path, framework: str, folders: pytest.TempPathFactory, memory: tuple[str, ...]
) -> Project:
    """Return such a project in folders of its own, with packages that no other project shares."""
    folder, environment = folders.mktemp("apart") / "my-agent", folders.mktemp("environment")
    return make_project(template, framework, folder, environment, memory)


def begin(server: Server, question: str, thread: str, user: str = "ada", **headers: str) -> str:
    """Begin a background response, and return its id."""
    body = {"input": question, "background": True, "custom_inputs": {"thread_id": thread}}
    response = server.http.post(
        "/responses", json=body, headers={"X-Forwarded-User": user, **headers}
    )
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


def read(server: Server, response_id: str, user: str = "ada") -> dict[str, Any]:
    """Return the response as it is now."""
    headers = {"X-Forwarded-User": user}
    response = server.http.get(f"/responses/{response_id}", headers=headers)
    assert response.status_code == 200, response.text
    return dict(response.json())


class Reader:
    """Follows a response in a thread, as a browser does."""

    def __init__(
        self, server: Server, response_id: str, after: int | None = None, user: str = "ada"
    ) -> None:
        self.events: list[dict[str, Any]] = []
        self.done = False
        self._where = (server.port, response_id, after, user)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def numbers(self) -> list[int]:
        """The sequence numbers seen so far."""
        return [event["sequence_number"] for event in self.events]

    @property
    def text(self) -> str:
        """The text of the deltas seen so far."""
        return "".join(event.get("delta", "") for event in self.events)

    def wait(self, seconds: float = 60) -> "Reader":
        """Return when the stream has ended."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"still reading after {self.events[-1:]}"
        return self

    def _read(self) -> None:
        port, response_id, after, user = self._where
        params = {"stream": "true", **({} if after is None else {"starting_after": str(after)})}
        url, headers = (
            f"http://127.0.0.1:{port}/responses/{response_id}",
            {"X-Forwarded-User": user},
        )
        try:
            with httpx.stream("GET", url, params=params, headers=headers, timeout=90) as response:
                for line in response.iter_lines():
                    if line == "data: [DONE]":
                        self.done = True
                    elif line.startswith("data: "):
                        self.events.append(json.loads(line[6:]))
        except httpx.TransportError:
            return  # its server was killed


def assert_whole(events: list[dict[str, Any]], start: int = 0) -> None:
    """Fail unless these are all events from `start` on, once each, to the one end."""
    assert [event["sequence_number"] for event in events] == list(range(start, start + len(events)))
    assert [event["type"] in TERMINAL for event in events] == [False] * (len(events) - 1) + [True]
