"""Chats over the life of processes: several of them, and the end of one."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.abuse.faults import Database
from tests.conftest import Renders
from tests.standins.model import open_standin_model
from tests.support.project import Project, Server, install
from tests.support.rendering import Combination

pytestmark = pytest.mark.generated
TITLE = b"Give a conversation a title"
ADA = {"X-Forwarded-User": "ada"}


@pytest.fixture
def servers(project: Project) -> Iterator[list[Server]]:
    """Yield two processes of one project, on one database."""
    with Server(project) as first, Server(project) as second:
        yield [first.until_ready(), second.until_ready()]


def ask(server: Server, message: str, chat: str | None = None, **more: str) -> tuple[str, str]:
    """Return the chat's id and the answer."""
    body = {"message": message, **({"chatId": chat} if chat else {}), **more}
    answer = server.http.post("/api/chat", json=body, headers=ADA)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-chat-id"], answer.text


def messages(server: Server, chat: str) -> list[Any]:
    return list(server.http.get(f"/api/chats/{chat}/messages", headers=ADA).json())


def test_two_processes_on_one_database_act_as_one(servers: list[Server]) -> None:
    first, second = servers
    chat, _ = ask(first, "My name is Ada")
    assert "Ada" in ask(second, "What is my name?", chat)[1]
    assert len(messages(first, chat)) == 4
    second.http.delete(f"/api/chats/{chat}", headers=ADA)
    assert first.http.get(f"/api/chats/{chat}/messages", headers=ADA).status_code == 404


def test_a_chat_continues_after_its_process_is_killed(project: Project) -> None:
    with Server(project) as server:
        chat, _ = ask(server.until_ready(), "My name is Ada")
        server.stop(signal.SIGKILL)
    with Server(project) as server:
        assert "Ada" in ask(server.until_ready(), "What is my name?", chat)[1]
        assert [m["role"] for m in messages(server, chat)] == ["user", "assistant"] * 2


def test_the_model_names_a_chat_once_and_only_where_it_may_and_can(project: Project) -> None:
    with open_standin_model() as model:
        more = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none", "CHAT_TITLES": "true"}
        with Server(project, **more) as server:
            model.pieces, model.only_to = ['"Tea and **cake**"\n'], TITLE
            chat, answer = ask(server.until_ready(), "hello, what is there?")
            assert until_titled(server, chat, "Tea and cake") and "cake" not in answer
            model.pieces = ["Coffee"]
            ask(server, "and then?", chat)
            model.refuses = TITLE
            other, _ = ask(server, "hello again")
            until(lambda: sum(TITLE in request for request in model.requests) == 2)
            named = titles(server)
            assert (named[chat], named[other]) == ("Tea and cake", "hello again")


def titles(server: Server) -> dict[str, str]:
    return {c["id"]: c["title"] for c in server.http.get("/api/chats", headers=ADA).json()}


def until_titled(server: Server, chat: str, title: str) -> bool:
    until(lambda: titles(server)[chat] == title)
    return True


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_model_does_not_see_an_answer_that_is_being_regenerated(project: Project) -> None:
    with Server(project) as server:
        chat, _ = ask(server.until_ready(), "first")
        ask(server, "What time is it?", chat)
        for _ in range(2):
            ask(server, "What time is it?", chat, trigger="regenerate-message")
        assert "see 3 of your messages" in ask(server, "third", chat)[1]


def test_regenerating_another_question_removes_nothing(project: Project) -> None:
    with Server(project) as server:
        chat, _ = ask(server.until_ready(), "first")
        ask(server, "second", chat, trigger="regenerate-message")
        assert "see 3 of your messages" in ask(server, "second", chat)[1]


def test_a_question_that_the_database_refuses_to_answer_is_not_kept(
    renders: Renders, environments: Path
) -> None:
    combination = Combination("openai", ("short_term", "chat"), "local")
    project = install(renders[combination], environments / "openai")
    schema = {"LAKEBASE_AGENT_MEMORY_SCHEMA": Database.schema}
    with project.open_database() as url, Server(project, DATABASE_URL=url, **schema) as server:
        chat, _ = ask(server.until_ready(), "first")
        again = {"message": "second", "chatId": chat}
        with Database(url).without_table("turn_leases"):
            refused = server.http.post("/api/chat", json=again, headers=ADA)
        assert refused.json()["error"]["code"] == "database_schema"
        assert len(messages(server, chat)) == 2


def test_an_image_that_the_model_does_not_take_is_not_kept(project: Project) -> None:
    image = {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,iVBORw0K"}
    asked = {"messages": [{"role": "user", "parts": [image]}]}
    with open_standin_model() as model, Server(project, OPENAI_BASE_URL=model.url) as server:
        chat, _ = ask(server.until_ready(), "My name is Ada")
        model.status = 400
        refused = server.http.post("/api/chat", json={"chatId": chat, **asked}, headers=ADA)
        model.status = 200
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "files_refused")
        assert (
            len(messages(server, chat)) == 2 and "Ada" in ask(server, "What is my name?", chat)[1]
        )
        assert b"iVBORw0K" not in model.requests[-1]
