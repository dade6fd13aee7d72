"""What one user does with their memories, beside another who saves, lists, searches and deletes."""

import json
import random
import string
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from local.embeddings import embed
from tests.abuse.honest_user import honest_user
from tests.standins.model import StandinModel
from tests.support.project import Project, Server

pytestmark = pytest.mark.generated
PROMPT_SECONDS = 1.5  # for what needs no vector; 0.05 on a machine with nothing else to do
EMBEDDING_SECONDS = 3
MOST = 50
KEY, MEMORY = 300, 4000  # characters
AT_ONCE = 4
COUNT = "SELECT count(*) FROM my_agent.store WHERE prefix = %s"
DROP_INDEX = "DROP INDEX IF EXISTS my_agent.store_vectors_embedding_idx"
# Rather than sort, Postgres takes an index of vectors: in a large database it does so by itself.
PREFERS_INDEX = "-cenable_sort%3Doff"
INDEX = """
    CREATE INDEX IF NOT EXISTS store_vectors_embedding_idx ON my_agent.store_vectors
    USING hnsw (embedding vector_cosine_ops)"""


@pytest.fixture(scope="module")
def server(agent: Project, database: str, model: StandinModel) -> Iterator[Server]:
    """Yield a server with room for few memories, which waits only a short time for vectors."""
    variables = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
    variables["DATABASE_URL"] = f"{database}?options={PREFERS_INDEX}"
    limits = {"EMBEDDING_SECONDS": str(EMBEDDING_SECONDS), "MEMORIES_PER_USER": str(MOST)}
    with Server(agent, **variables, **limits) as server:
        server.until_ready().ask(
            "Remember that I like tea", user="first"
        )  # imports what turns need
        yield server


@pytest.fixture(autouse=True)
def healthy(model: StandinModel) -> Iterator[None]:
    """Let every test start with a model that works."""
    yield
    model.embedding_delay, model.embeds, model.embeds_not = 0, None, b""


def call(server: Server, user: str, tool: str, **arguments: Any) -> str:
    """Return what the agent answers after a call of a memory tool."""
    return server.ask(f"/call {tool}_user_memory {json.dumps(arguments)}", user=user)


def save(server: Server, user: str, key: str, memory: str = "I like teal") -> str:
    """Return what the agent answers after a save."""
    return call(server, user, "save", memory_key=key, memory=memory)


def listed(server: Server, user: str) -> dict[str, str]:
    """Return the memories of a user, by their keys."""
    answer = server.http.get("/api/memories", headers={"X-Forwarded-User": user})
    assert answer.status_code == 200, answer.text
    return {memory["memory_key"]: memory["memory"] for memory in answer.json()}


def forget(server: Server, user: str, key: str = "") -> None:
    """Delete a memory of a user, or all of them."""
    path = f"/api/memories/{quote(key, safe='')}" if key else "/api/memories"
    answer = server.http.delete(path, headers={"X-Forwarded-User": user})
    assert answer.status_code == 204, answer.text


def timed(act: Callable[[], object]) -> float:
    """Return how many seconds it takes."""
    began = time.monotonic()
    act()
    return time.monotonic() - began


@contextmanager
def attackers(server: Server, question: str, count: int = 2) -> Iterator[list[httpx.Response]]:
    """Yield what users are told who all the time ask the same."""
    stopped, told = threading.Event(), list[httpx.Response]()

    def attack(user: str) -> None:
        while not stopped.is_set():
            told.append(server.post(question, user=user))

    with ThreadPoolExecutor(count) as pool:
        running = [pool.submit(attack, f"eve{number}") for number in range(count)]
        try:
            yield told
        finally:
            stopped.set()
            wait(running)


def insert(database: str, user: str, memories: dict[str, str]) -> None:
    """Save memories of a user, as the server does."""
    with psycopg.connect(database, autocommit=True) as connection, connection.cursor() as cursor:
        place = f"memories.{user}"
        values = [(place, key, json.dumps({"memory": text})) for key, text in memories.items()]
        cursor.executemany("INSERT INTO my_agent.store VALUES (%s, %s, %s)", values)
        vectors = [(place, key, "memory", str(embed(text))) for key, text in memories.items()]
        cursor.executemany("INSERT INTO my_agent.store_vectors VALUES (%s, %s, %s, %s)", vectors)


def no_key(length: int) -> str:
    """Return a key that Postgres can't compress."""
    letters = random.Random(length)
    return "".join(letters.choice(string.ascii_letters) for _ in range(length))


@pytest.mark.parametrize("attack", ["a key too long", "a text without a vector"])
def test_a_save_that_fails_fails_nobody_elses(
    server: Server, model: StandinModel, attack: str
) -> None:
    model.embeds_not = b"poison"
    key, memory = (no_key(6000), "x") if attack == "a key too long" else ("k", "poison")
    question = f"/call save_user_memory {json.dumps({'memory_key': key, 'memory': memory})}"
    with attackers(server, question) as told, honest_user(server):
        for number in range(4):
            assert "Saved" in save(server, "ada", f"colour{number}")
            assert "teal" in call(server, "ada", "get", query="colour")
            assert f"colour{number}" in listed(server, "ada")
            forget(server, "ada", f"colour{number}")
    assert listed(server, "ada") == {}
    assert len(told) > 2 and {answer.status_code for answer in told} == {200}


def test_slow_vectors_hold_up_only_those_who_need_them(server: Server, model: StandinModel) -> None:
    save(server, "ada", "colour")
    save(server, "ada", "car")
    model.embedding_delay = 2 * EMBEDDING_SECONDS
    with attackers(server, "Remember that I like rain", 8), honest_user(server):
        time.sleep(0.5)
        for key in ("colour", "car"):
            assert timed(lambda: listed(server, "ada")) < PROMPT_SECONDS
            assert timed(partial(forget, server, "ada", key)) < PROMPT_SECONDS
            assert timed(lambda: server.http.get("/ready").raise_for_status()) < PROMPT_SECONDS
    assert listed(server, "ada") == {}


@pytest.mark.parametrize("answer", ["", "<html>", '{"data": []}', '{"data": [{"embedding": [1]}]}'])
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [("save", {"memory_key": "car", "memory": "It is red"}), ("get", {"query": "What car?"})],
)
def test_a_turn_goes_on_without_vectors(
    server: Server, model: StandinModel, answer: str, tool: str, arguments: dict[str, str]
) -> None:
    model.embedding_delay, model.embeds = (0, answer) if answer else (20, None)
    began = time.monotonic()
    assert "embedding endpoint gives no usable answer" in call(server, "grace", tool, **arguments)
    assert time.monotonic() - began < EMBEDDING_SECONDS + PROMPT_SECONDS
    assert listed(server, "grace") == {}


@pytest.mark.parametrize("index", [True, False])
def test_500_nearer_memories_of_a_neighbour_hide_none_of_ones_own(
    server: Server, database: str, index: bool
) -> None:
    near = {f"near{number}": f"my favourite colour is teal {number}" for number in range(500)}
    insert(database, f"neighbour{index}", near)
    with psycopg.connect(f"{database}?options=-csearch_path%3Dpublic", autocommit=True) as admin:
        admin.execute(INDEX if index else DROP_INDEX)
    user = f"cyd{index}"
    for key in ("dog", "car", "house"):
        save(server, user, key, f"my {key} is small")
    found = call(server, user, "get", query="my favourite colour is teal 7")
    assert all(f"my {key} is small" in found for key in ("dog", "car", "house"))
    assert "teal" not in found


@pytest.mark.parametrize(
    ("key", "memory", "told"),
    [
        (no_key(KEY + 1), "m", f"memory_key has {KEY + 1} characters, and may have {KEY}"),
        (no_key(200_000), "m", "memory_key has 200000 characters"),
        ("k", "m" * (MEMORY + 1), f"memory has {MEMORY + 1} characters, and may have {MEMORY}"),
        ("", "m", "memory_key is empty"),
        (" \n", "m", "memory_key is empty"),
        ("k", "", "memory is empty"),
        ("k", " \t ", "memory is empty"),
    ],
    ids=["key", "long key", "memory", "no key", "blank key", "no memory", "blank memory"],
)
def test_the_model_is_told_what_can_not_be_saved(
    server: Server, key: str, memory: str, told: str
) -> None:
    assert told in save(server, "dan", key, memory)
    assert listed(server, "dan") == {}


def test_what_is_just_within_the_limits_is_saved(server: Server) -> None:
    key, memory = "\N{EARTH GLOBE EUROPE-AFRICA}" * KEY, "\N{EARTH GLOBE EUROPE-AFRICA}" * MEMORY
    assert "Saved" in save(server, "flo", key, memory)
    assert listed(server, "flo") == {key: memory}


def test_a_query_has_a_limit_too_and_may_be_blank(server: Server) -> None:
    save(server, "gil", "colour")
    assert f"may have {MEMORY}" in call(server, "gil", "get", query="q" * (MEMORY + 1))
    for blank in ("", " \n"):
        assert "I like teal" in call(server, "gil", "get", query=blank)


def test_a_user_with_all_memories_replaces_or_deletes_one(server: Server, database: str) -> None:
    insert(database, "hal", {f"k{number}": f"I like {number}" for number in range(MOST)})
    assert f"There are {MOST} memories already" in save(server, "hal", "new")
    assert "Saved" in save(server, "hal", "k7", "I like teal")
    forget(server, "hal", "k8")
    assert "Saved" in save(server, "hal", "new")
    assert "There are" in save(server, "hal", "newer")
    assert len(listed(server, "hal")) == MOST and listed(server, "hal")["k7"] == "I like teal"
    assert "Saved" in save(server, "iris", "new")


def test_a_user_who_had_more_than_the_limit_replaces_one(server: Server, database: str) -> None:
    insert(database, "jan", {f"k{number}": f"I like {number}" for number in range(MOST + 20)})
    assert "Saved" in save(server, "jan", "k7", "I like teal")
    assert "There are" in save(server, "jan", "new")
    forget(server, "jan")
    assert listed(server, "jan") == {} and "Saved" in save(server, "jan", "new")


def test_saves_at_the_same_moment_exceed_the_limit_by_few(server: Server, database: str) -> None:
    insert(database, "kim", {f"k{number}": f"I like {number}" for number in range(MOST - 1)})
    with ThreadPoolExecutor(16) as pool:
        for number in range(32):
            pool.submit(save, server, "kim", f"new{number}")
    with psycopg.connect(database) as connection:
        [(held,)] = connection.execute(COUNT, ["memories.kim"]).fetchall()
    assert MOST <= held <= MOST + AT_ONCE


def test_forgetting_all_is_prompt_and_leaves_the_memories_of_others(
    server: Server, database: str
) -> None:
    many = {f"k{number}": f"I like {number}" for number in range(3000)}
    insert(database, "a_b", many)
    for other in ("axb", "a_bc", "a"):
        save(server, other, "colour")
    insert(database, "a_b.work", {"k": "I work in Ghent"})
    assert timed(lambda: forget(server, "a_b")) < 10
    assert listed(server, "a_b") == {}
    assert [len(listed(server, other)) for other in ("axb", "a_bc", "a")] == [1, 1, 1]


def test_memories_of_users_with_similar_names_stay_apart(server: Server) -> None:
    names = ("user1", "user10", "user%", "user_", "user1.x", "us\\er")
    for name in names:
        save(server, name, "secret", f"my name is {name} indeed")
    for name in names:
        found = call(server, name, "get", query="my name")
        assert found.splitlines()[1:] == [f"- my name is {name} indeed"]
        assert listed(server, name) == {"secret": f"my name is {name} indeed"}
