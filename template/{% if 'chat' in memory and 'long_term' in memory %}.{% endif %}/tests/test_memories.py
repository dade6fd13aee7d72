"""What the agent remembers about a user can be seen and forgotten."""

from typing import Any

from tests.agent import Agent


def memories(agent: Agent) -> list[Any]:
    return list(agent.http.get("/api/memories", headers=agent.headers).json())


def test_memories_are_listed_the_latest_first(agent: Agent) -> None:
    for thing in ("teal", "rain"):
        agent.ask(f"Remember that I like {thing}")
    assert [memory["memory"] for memory in memories(agent)] == ["I like rain", "I like teal"]


def test_one_memory_is_forgotten_and_the_others_stay(agent: Agent) -> None:
    for thing in ("teal", "rain"):
        agent.ask(f"Remember that I like {thing}")
    key = memories(agent)[0]["memory_key"]
    assert agent.http.delete(f"/api/memories/{key}", headers=agent.headers).status_code == 204
    assert [memory["memory"] for memory in memories(agent)] == ["I like teal"]


def test_all_memories_are_forgotten_and_nobody_else_s(agent: Agent) -> None:
    other = Agent(agent.http, f"{agent.user}.eve")
    for user in (agent, other):
        user.ask("Remember that I like teal")
    assert agent.http.delete("/api/memories", headers=agent.headers).status_code == 204
    assert (memories(agent), len(memories(other))) == ([], 1)
    assert "nothing" in agent.ask("What do you know about me?")
