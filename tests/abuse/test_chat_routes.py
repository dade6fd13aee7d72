"""What the chat page asks for, asked by somebody who has much, often: nobody else waits."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.abuse.honest_user import free_event_loop, honest_user
from tests.support.project import Server

pytestmark = [
    pytest.mark.generated,
    pytest.mark.parametrize("agent", ["langgraph"], indirect=True),  # it has no part in this
]
MEBIBYTE = 2**20
# Ten thousand words in each, with one that all have.
LONG = """
    INSERT INTO messages (chat_id, role, content)
    SELECT %s, 'user', 'heliotrope ' || (
        SELECT string_agg('w' || (n * w) %% 3000, ' ') FROM generate_series(1, 10000) AS w)
    FROM generate_series(1, 60) AS n"""
EARLIER = """
    INSERT INTO earlier_messages
    SELECT gen_random_uuid(), %s, %s, CASE n %% 2 WHEN 0 THEN 'user' ELSE 'assistant' END,
        repeat('x', %s), NULL, false, NULL, now() - make_interval(secs => 100 - n)
    FROM generate_series(0, 9) AS n"""


@pytest.fixture
def user() -> dict[str, str]:
    """Return the headers of somebody new."""
    return {"X-Forwarded-User": uuid4().hex}


@pytest.fixture(scope="module")
def rows(server: Server, database: str) -> Iterator[psycopg.Connection]:
    """Yield a connection to the app's tables."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET search_path = my_agent, public")
        yield connection


def ask(server: Server, user: dict[str, str]) -> tuple[str, str, str]:
    """Return the ids of a new chat, its question and its answer."""
    answer = server.http.post("/api/chat", json={"message": "hello"}, headers=user)
    chat = answer.headers["x-chat-id"]
    question, said = server.http.get(f"/api/chats/{chat}/messages", headers=user).json()
    return chat, question["id"], said["id"]


def search(server: Server, user: dict[str, str], text: str) -> httpx.Response:
    """Search the user's chats."""
    with httpx.Client(base_url=server.http.base_url, timeout=60) as http:
        return http.get("/api/chats", params={"search": text}, headers=user)


def test_searches_in_much_text_hold_up_nobody(
    server: Server, rows: psycopg.Connection, user: dict[str, str]
) -> None:
    rows.execute(LONG, [ask(server, user)[0]])
    with free_event_loop(server), honest_user(server) as honest, ThreadPoolExecutor(50) as pool:
        found = list(pool.map(lambda _: search(server, user, "heliotrope w"), range(50)))
    assert {answer.status_code for answer in found} == {200}
    assert {turn.status_code for turn in honest.turns} == {200}
    assert found[0].json()[0]["excerpt"].startswith("heliotrope")


@pytest.mark.parametrize("text", ["x " * 20_000, "x" * 201], ids=["words", "letters"])
def test_a_search_has_a_limit(server: Server, user: dict[str, str], text: str) -> None:
    refused = search(server, user, text)
    assert refused.status_code == 400 and "search" in refused.json()["error"]["message"]


HOSTILE = [
    "& | !",
    "a:*b",
    "'\\",
    "½ ² ①",
    "<-> (",
    "%_",
    "🙂",
    " ".join("abcdefghijklmnopq"),
    "x" * 200,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_words_of_a_search_are_commands(server: Server, user: dict[str, str], text: str) -> None:
    ask(server, user)
    assert (search(server, user, text).status_code, search(server, user, text).text) == (200, "[]")


def test_earlier_versions_come_in_pages_bounded_by_bytes(
    server: Server, rows: psycopg.Connection, user: dict[str, str]
) -> None:
    chat, question, _ = ask(server, user)
    rows.execute(EARLIER, [chat, question, MEBIBYTE])
    path, sizes, roles = f"/api/chats/{chat}/messages/{question}/earlier", [], list[str]()
    while path:
        page = server.http.get(path, headers=user)
        sizes.append(len(page.content))
        roles = [message["role"] for message in page.json()] + roles
        path = page.links.get("prev", {}).get("url", "")
    assert roles == ["user", "assistant"] * 5 and max(sizes) < 2 * MEBIBYTE


def test_judging_again_and_again_keeps_one_row_and_holds_up_nobody(
    server: Server, rows: psycopg.Connection, user: dict[str, str]
) -> None:
    judged = {"message_id": ask(server, user)[2], "value": True, "comment": "x" * 2000}
    with honest_user(server), ThreadPoolExecutor(30) as pool:
        post = lambda _: server.http.post("/api/feedback", json=judged, headers=user)  # noqa: E731
        codes = {answer.status_code for answer in pool.map(post, range(300))}
    assert codes == {204}
    kept = rows.execute("SELECT count(*) FROM feedback WHERE user_id = %s", [*user.values()])
    assert kept.fetchall() == [(1,)]
