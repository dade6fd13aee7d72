"""Long-term memory: facts about a user."""

import os
from uuid import uuid4

import psycopg

from local.embeddings import embed
from tests.agent import Agent
from tests.conftest import SCHEMA

KNOWN = "What do you know about me?"
MEMORIES = f"""
    INSERT INTO {SCHEMA}.store (prefix, key, value)
    SELECT %(place)s, n, '{{"memory": "I like tea"}}' FROM generate_series(1, 100) n"""
VECTORS = f"""
    INSERT INTO {SCHEMA}.store_vectors (prefix, key, field_name, embedding)
    SELECT %(place)s, n, 'memory', %(vector)s::text::public.vector FROM generate_series(1, 100) n"""


def test_a_fact_is_known_in_another_thread(agent: Agent) -> None:
    agent.ask("Remember that I like teal", thread="t")
    assert "teal" in agent.ask(KNOWN, thread="u")


def test_nothing_is_known_about_a_stranger(agent: Agent) -> None:
    assert "nothing" in agent.ask(KNOWN)


def test_a_fact_is_not_known_about_another_user(agent: Agent) -> None:
    agent.ask("Remember that I like teal")
    for other in (f"{agent.user}0", agent.user[:-1], f"{agent.user}.x"):
        assert "teal" not in Agent(agent.http, other).ask(KNOWN)


def test_the_nearest_memory_comes_first(agent: Agent) -> None:
    for fact in ("my cat is called Tom", "I work in Ghent", "my favourite colour is teal"):
        agent.ask(f"Remember that {fact}")
    answer = agent.ask("What do you remember about the colour I prefer?")
    assert answer.split("\n- ")[1] == "my favourite colour is teal"


def test_nearer_memories_of_a_neighbour_hide_none_of_ones_own(agent: Agent) -> None:
    values = {"place": f"memories.{uuid4()}", "vector": str(embed(KNOWN))}
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(MEMORIES, values)
        connection.execute(VECTORS, values)
    agent.ask("Remember that I like teal")
    assert agent.ask(KNOWN).split("\n- ")[1:] == ["I like teal"]


def test_a_forgotten_fact_is_gone(agent: Agent) -> None:
    agent.ask("Remember that I like teal")
    agent.ask("Forget that I like teal")
    assert "teal" not in agent.ask(KNOWN)


def test_the_model_never_sees_whose_memory_it_is(agent: Agent) -> None:
    agent.ask("Remember that I like teal")
    response = agent.post({"input": KNOWN}).json()
    assert agent.user not in str(response["output"])
