"""The chat API, through the hook and the transport that apps built with the AI SDK use."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.project import Server, clean_environment

CLIENT = Path(__file__).parent / "ai_sdk"
NAME = "What is my name?"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the client, with its packages."""
    if not shutil.which("npm"):
        pytest.skip("there is no npm on this machine (apt-get install npm)")
    folder = tmp_path_factory.mktemp("ai_sdk") / "client"
    shutil.copytree(CLIENT, folder)
    subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)
    return folder


def ask(client: Path, server: Server, *questions: str) -> Any:
    """Ask in one chat, and return what the hook showed and the server kept."""
    command = ["node", "client.js", str(server.http.base_url).rstrip("/"), "ada", *questions]
    done = subprocess.run(
        command, cwd=client, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_two_turns_make_one_chat(client: Path, server: Server) -> None:
    shown = ask(client, server, "My name is Ada", NAME)
    assert shown["status"] == "ready"
    assert [role for role, _ in shown["messages"]] == ["user", "assistant"] * 2
    assert "your name is Ada" in shown["messages"][-1][1]
    assert shown["history"] == shown["messages"]


def test_another_chat_does_not_see_the_first(client: Path, server: Server) -> None:
    assert "Ada" not in ask(client, server, NAME)["messages"][-1][1]


def test_an_answer_is_streamed(client: Path, server: Server) -> None:
    assert ask(client, server, "/repeat 5000")["steps"] > 1
