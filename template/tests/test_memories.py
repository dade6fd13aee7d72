"""What the agent remembers about a user can be seen and forgotten."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from agent_server.settings import limit
from tests.agent import Agent

LONGEST_KEY = limit("MEMORY_KEY_CHARACTERS")
LONGEST = limit("MEMORY_CHARACTERS")


def memories(agent: Agent) -> list[Any]:
    return list(agent.http.get("/api/memories", headers=agent.headers).json())


def save(agent: Agent, key: str, memory: str) -> str:
    arguments = json.dumps({"memory_key": key, "memory": memory})
    return agent.ask(f"/call save_user_memory {arguments}")


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


@pytest.mark.parametrize("key", ["work/city", "a" * LONGEST_KEY, "50%"])
def test_a_memory_is_forgotten_whatever_its_name(agent: Agent, key: str) -> None:
    for name in (key, "other"):
        save(agent, name, f"I like {name}")
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


@pytest.mark.parametrize(
    ("key", "memory", "told"),
    [
        ("a" * (LONGEST_KEY + 1), "I like teal", "characters"),
        ("colour", "a" * (LONGEST + 1), "characters"),
        ("", "I like teal", "memory_key is empty"),
        ("colour", " ", "memory is empty"),
    ],
)
def test_what_is_too_long_or_empty_is_not_saved(
    agent: Agent, key: str, memory: str, told: str
) -> None:
    assert told in save(agent, key, memory)
    assert memories(agent) == []


def test_a_search_for_nothing_finds_the_latest(agent: Agent) -> None:
    save(agent, "colour", "I like teal")
    assert "I like teal" in agent.ask('/call get_user_memory {"query": " "}')
