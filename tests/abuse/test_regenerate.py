"""Questions that are asked again, or twice at once: a chat and its thread agree afterwards."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.standins.answers import Answer
from tests.standins.model import StandinModel
from tests.support.project import Server

pytestmark = pytest.mark.generated
SAID = "What did I say?"
SLOW = "/repeat 20 every 50 ms"


@dataclass
class Chat:
    """A chat of a user of its own."""

    server: Server
    id: str = field(default_factory=lambda: str(uuid4()))
    user: str = field(default_factory=lambda: uuid4().hex)

    def ask(self, message: str, again: bool = False, edits: bool = False) -> httpx.Response:
        """Ask in the chat, and return the response once it is answered."""
        trigger = "regenerate-message" if again else "submit-message"
        body = {"chatId": self.id, "message": message, "trigger": trigger}
        if edits:
            body["replaces"] = [m["id"] for m in self.messages if m["role"] == "user"][-1]
        with self._http() as http:
            try:
                return http.post("/api/chat", json=body)
            except httpx.RemoteProtocolError:  # the answer was cut off
                return httpx.Response(502)

    def delete(self) -> httpx.Response:
        """Delete the chat."""
        with self._http() as http:
            return http.delete(f"/api/chats/{self.id}")

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages that are stored, once nothing is running any more."""
        with self._http() as http:
            path = f"/api/chats/{self.id}/messages"
            _until(lambda: "X-Response-Id" not in (found := http.get(path)).headers)
            found = http.get(path)
            return list(found.json()) if found.status_code == 200 else []

    @property
    def roles(self) -> str:
        """The first letters of the roles of the stored messages."""
        return "".join(message["role"][0] for message in self.messages)

    def thread(self) -> str:
        """Return what the model sees of the questions in the thread."""
        return self.server.ask(SAID, self.id, self.user)

    def _http(self) -> httpx.Client:
        headers = {"X-Forwarded-User": self.user}
        return httpx.Client(base_url=self.server.http.base_url, headers=headers, timeout=60)


@pytest.fixture
def chat(server: Server) -> Chat:
    """Return a chat in which one question was answered."""
    chat = Chat(server)
    assert chat.ask(SLOW).status_code == 200
    return chat


@pytest.fixture(autouse=True)
def healthy(model: StandinModel) -> Iterator[None]:
    """Leave the model in good health."""
    yield
    model.status, model.breaks_after = 200, 2**31


def test_of_two_that_replace_an_answer_at_once_one_does(chat: Chat) -> None:
    answers = _at_once(lambda: chat.ask(SLOW, True), lambda: chat.ask(SLOW, True))
    assert sorted(answers) == [200, 409]
    assert chat.roles == "ua" and chat.thread().count(SLOW) == 1


def test_an_answer_that_is_being_replaced_stays_until_the_new_one_is_there(chat: Chat) -> None:
    [old] = [m["id"] for m in chat.messages if m["role"] == "assistant"]
    again = threading.Thread(target=lambda: chat.ask(SLOW, True))
    again.start()
    time.sleep(0.3)
    with chat._http() as http:
        assert http.get(f"/api/chats/{chat.id}/messages").json()[-1]["id"] == old
    again.join()
    assert chat.roles == "ua" and chat.messages[-1]["id"] != old


@pytest.mark.parametrize("breaks_after", [0, 5])
def test_an_answer_is_kept_when_a_new_one_fails(
    chat: Chat, model: StandinModel, breaks_after: int
) -> None:
    kept = chat.messages
    model.status, model.breaks_after = (200, 5) if breaks_after else (500, 2**31)
    assert chat.ask(SLOW, True).text.find("word20") < 0
    model.status, model.breaks_after = 200, 2**31
    assert chat.messages == kept and chat.thread().count(SLOW) == 1
    assert chat.ask(SLOW, True).status_code == 200 and chat.messages[0]["id"] != kept[0]["id"]


def test_a_question_that_has_no_answer_can_be_asked_again(
    server: Server, model: StandinModel
) -> None:
    chat, model.status = Chat(server), 500
    chat.ask("hello")
    assert chat.roles == "u"
    model.status = 200
    assert chat.ask("hello", True).status_code == 200
    assert chat.roles == "ua" and chat.thread().count("hello") == 1


@pytest.mark.parametrize("breaks_after", [0, 5])
@pytest.mark.parametrize("edits", [False, True])
def test_of_two_that_are_the_same_the_one_that_failed_is_replaced(
    chat: Chat, model: StandinModel, edits: bool, breaks_after: int
) -> None:
    model.status, model.breaks_after = (200, 5) if breaks_after else (500, 2**31)
    chat.ask(SLOW)
    model.status, model.breaks_after = 200, 2**31
    assert chat.ask("/repeat 3" if edits else SLOW, not edits, edits).status_code == 200
    questions = [m["content"] for m in chat.messages if m["role"] == "user"]
    assert questions == [SLOW, "/repeat 3" if edits else SLOW] and chat.roles == "uaua"
    thread = chat.thread()
    assert [thread.count(SLOW), thread.count("/repeat 3")] == ([1, 1] if edits else [2, 0])


@pytest.mark.parametrize("finish", ["length", None])
@pytest.mark.parametrize("breaks_after", [0, 2])
def test_a_failed_edit_leaves_a_cut_off_answer_as_it_was(
    server: Server, model: StandinModel, finish: str | None, breaks_after: int
) -> None:
    chat, model.breaks_after = Chat(server), 2**31 if finish else 2
    model.script = [Answer("All I can say is", finish=finish)] if finish else []
    chat.ask("/repeat 4")
    kept = chat.messages
    model.status, model.breaks_after = (200, 2) if breaks_after else (500, 2**31)
    chat.ask("/repeat 9", edits=True)
    model.status, model.breaks_after = 200, 2**31
    assert chat.roles == "ua" and chat.messages == kept
    assert "/repeat 9" not in chat.thread()


def test_an_edit_whose_answer_is_cut_off_takes_the_place_of_the_last(
    chat: Chat, model: StandinModel
) -> None:
    model.script = [Answer("All I can say is", finish="length")]
    chat.ask("/repeat 9", edits=True)
    assert [m["content"] for m in chat.messages] == ["/repeat 9", "All I can say is"]
    thread = chat.thread()
    assert "/repeat 9" in thread and SLOW not in thread


def test_a_question_that_is_sent_twice_at_once_is_answered_once_or_twice(server: Server) -> None:
    chat = Chat(server)
    answers = _at_once(lambda: chat.ask(SLOW), lambda: chat.ask(SLOW))
    assert sorted(answers) in ([200, 200], [200, 409])
    assert chat.roles == "ua" * answers.count(200)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_at_once_the_chat_and_the_thread_agree(chat: Chat, seed: int) -> None:
    acts: list[Callable[[], httpx.Response]] = [
        lambda: chat.ask(SLOW, True),
        lambda: chat.ask(f"/repeat 5 every {20 + seed} ms"),
        chat.delete,
    ]
    random = Random(seed)
    _at_once(*random.choices(acts, weights=[3, 2, 1], k=2), pause=random.random() / 4)
    questions = [m["content"] for m in chat.messages if m["role"] == "user"]
    assert chat.roles in ("", "u", "ua", "uaua", "uauaua")
    thread = chat.thread()
    assert all(thread.count(question) == questions.count(question) for question in questions)
    assert questions or "/repeat" not in thread


def _at_once(*acts: Callable[[], httpx.Response], pause: float = 0) -> list[int]:
    """Do all of it at once, each a little later; return the statuses."""
    with ThreadPoolExecutor(len(acts)) as pool:
        running = []
        for act in acts:
            running.append(pool.submit(act))
            time.sleep(pause)
        return [each.result().status_code for each in running]


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
