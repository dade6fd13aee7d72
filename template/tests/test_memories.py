"""What the agent remembers about a user can be seen and forgotten."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.agent import Agent


def memories(agent: Agent) -> list[Any]:
    return list(agent.http.get("/api/memories", headers=agent.headers).json())


def test_memories_are_listed_latest_first(agent: Agent) -> None:
    for thing in ("teal", "rain"):
        agent.ask(f"Remember that I like {thing}")
    assert [memory["memory"] for memory in memories(agent)] == ["I like rain", "I like teal"]


def test_one_memory_is_forgotten_and_the_others_stay(agent: Agent) -> None:
    for thing in ("teal", "rain"):
        agent.ask(f"Remember that I like {thing}")
    key = memories(agent)[0]["memory_key"]
    assert agent.http.delete(f"/api/memories/{key}", headers=agent.headers).status_code == 204
    assert [memory["memory"] for memory in memories(agent)] == ["I like teal"]


@pytest.mark.parametrize("key", ["work/city", "a" * 300, "50%", ""])
def test_a_memory_is_forgotten_whatever_its_name(agent: Agent, key: str) -> None:
    for name in (key, "other"):
        arguments = json.dumps({"memory_key": name, "memory": f"I like {name}"})
        agent.ask(f"/call save_user_memory {arguments}")
    path = f"/api/memories/{quote(key, safe='')}"
    assert agent.http.delete(path, headers=agent.headers).status_code == 204
    assert [memory["memory_key"] for memory in memories(agent)] == ["other"]


def test_forgetting_all_memories_keeps_those_of_other_users(agent: Agent) -> None:
    other = Agent(agent.http, f"{agent.user}.eve")
    for user in (agent, other):
        user.ask("Remember that I like teal")
    assert agent.http.delete("/api/memories", headers=agent.headers).status_code == 204
    assert (memories(agent), len(memories(other))) == ([], 1)
    assert "nothing" in agent.ask("What do you know about me?")
