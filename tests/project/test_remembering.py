"""Remembering without being told to, and memories put before a turn, as the README has them."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Renders
from tests.standins.model import StandinModel
from tests.support.background_project import make_project_apart
from tests.support.project import Server
from tests.support.rendering import FRAMEWORKS, MEMORIES

pytestmark = pytest.mark.generated
LOOKS = b"You keep what an assistant remembers"  # how the model is asked to look at a turn
PROMPTS = {
    "langgraph": ("[TurnInput()]", "[TurnInput(), with_memories]"),
    "openai": ("instructions=SYSTEM_PROMPT", "instructions=with_memories"),
}
CYCLES = {"memory_key": "commute", "memory": "They cycle to work."}


def example(folder: Path) -> str:
    """Return the README's example, word for word."""
    blocks = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    [found] = [block for block in blocks if "recall(" in block]
    return str(found)


@pytest.fixture(autouse=True)
def usual(model: StandinModel) -> Iterator[None]:
    """Let the model behave again after each test."""
    yield
    model.reset()


@pytest.fixture(scope="module", params=FRAMEWORKS)
def server(
    request: pytest.FixtureRequest,
    renders: Renders,
    tmp_path_factory: pytest.TempPathFactory,
    model: StandinModel,
) -> Iterator[Server]:
    """Yield a running agent whose owner has switched both on."""
    project = make_project_apart(renders.template, request.param, tmp_path_factory, MEMORIES)
    agent = project.folder / "agent_server" / "agent.py"
    head, _, rest = agent.read_text().replace(*PROMPTS[request.param]).partition("\n\nasync def")
    agent.write_text(f"{head}\n{example(project.folder)}\n\nasync def{rest}")
    on = {"REMEMBER_AFTER_TURN": "true", "MEMORIES_PER_USER": "2", "EMBEDDING_DIMS": "1024"}
    with Server(project, OPENAI_BASE_URL=model.url, OPENAI_API_KEY="none", **on) as server:
        yield server.until_ready()


def finds(model: StandinModel, *memories: Any) -> None:
    """Let the model find these memories in the next turns."""
    model.pieces, model.only_to = [json.dumps(memories)], LOOKS


def memories(server: Server, user: str) -> list[str]:
    """Return what is remembered about a user."""
    export = server.http.get("/api/me/export", headers={"X-Forwarded-User": user}).json()
    return [row["value"]["memory"] for row in export["store"]]


def looked(model: StandinModel, text: str) -> bool:
    """Return whether the model has looked at a turn."""
    return any(LOOKS in body and text.encode() in body for body in model.requests)


def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def ask(server: Server, user: str, text: str, **more: Any) -> None:
    """Ask in a new thread."""
    answer = server.post(text, str(uuid4()), user=user, **more)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_only_said_is_known_in_the_next_conversation(
    server: Server, model: StandinModel, stream: bool
) -> None:
    user = str(uuid4())
    finds(model, CYCLES)
    ask(server, user, "I cycle to work", stream=stream)
    until(lambda: memories(server, user) == ["They cycle to work."])
    model.reset()
    ask(server, user, "How do I get to work?")
    assert any(b"They cycle to work." in body and LOOKS not in body for body in model.requests)


def test_it_is_known_about_nobody_else(server: Server, model: StandinModel) -> None:
    user, other = str(uuid4()), str(uuid4())
    finds(model, CYCLES)
    ask(server, user, "I cycle to work")
    until(lambda: memories(server, user))
    model.reset()
    ask(server, other, "How do I get to work?")
    assert not any(b"They cycle to work." in body for body in model.requests)


@pytest.mark.parametrize("says", ["", "Nothing.", "[]", '[{"memory": 1}]', '{"a": ['])
def test_an_answer_that_is_no_list_of_memories_costs_nothing(
    server: Server, model: StandinModel, says: str
) -> None:
    user = str(uuid4())
    model.pieces, model.only_to = [says], LOOKS
    ask(server, user, "I cycle to work")
    until(lambda: looked(model, "I cycle to work"))
    assert memories(server, user) == []


def test_a_list_may_be_wrapped_in_words(server: Server, model: StandinModel) -> None:
    user = str(uuid4())
    model.pieces, model.only_to = [f"Here:\n```json\n[{json.dumps(CYCLES)}]\n```"], LOOKS
    ask(server, user, "I cycle to work")
    until(lambda: memories(server, user) == ["They cycle to work."])


def test_what_is_remembered_counts_as_the_users(server: Server, model: StandinModel) -> None:
    user = str(uuid4())
    finds(model, *({"memory_key": str(n), "memory": f"Fact {n}."} for n in range(3)))
    ask(server, user, "Three facts")
    until(lambda: len(memories(server, user)) == 2)
    ask(server, user, "More facts")
    time.sleep(1)
    assert len(memories(server, user)) == 2


def test_a_turn_in_which_the_model_saved_itself_is_left_alone(
    server: Server, model: StandinModel
) -> None:
    user = str(uuid4())
    finds(model, CYCLES)
    ask(server, user, "Remember that I like teal")
    time.sleep(1)
    assert not looked(model, "teal") and memories(server, user) == ["I like teal"]


def test_nothing_is_kept_of_a_user_who_leaves_meanwhile(
    server: Server, model: StandinModel
) -> None:
    user = str(uuid4())
    finds(model, CYCLES)
    ask(server, user, "I cycle to work")
    until(lambda: memories(server, user))
    model.delay = 1  # of its answer, and of each vector
    ask(server, user, "I cycle to work, as I said")
    server.http.delete("/api/me", headers={"X-Forwarded-User": user})
    time.sleep(4)
    assert memories(server, user) == []


def test_a_model_that_fails_to_look_fails_no_turn(server: Server, model: StandinModel) -> None:
    model.refuses = LOOKS
    ask(server, str(uuid4()), "I cycle to work")
    until(lambda: looked(model, "I cycle to work"))
    assert server.http.get("/ready").status_code == 200
