"""Images and files in a question: they reach the model and are kept, or they are refused."""

import base64
import json
from typing import Any
from uuid import uuid4

import pytest

from tests.abuse.honest_user import free_event_loop
from tests.standins.model import StandinModel
from tests.support.background_project import Reader, begin, read
from tests.support.project import Server

pytestmark = pytest.mark.generated
PIXEL = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 60).decode()
OTHER = PIXEL.replace("MDAw", "MTEx")
PDF = "data:application/pdf;base64," + base64.b64encode(b"%PDF-1.7").decode()
SVG = "data:image/svg+xml;base64," + base64.b64encode(b"<svg onload='alert(1)'/>").decode()
HTML = "data:text/html;base64," + base64.b64encode(b"<script>alert(1)</script>").decode()
LARGE = "data:image/jpeg;base64," + base64.b64encode(b"\xff\xd8\xff" + b"7" * 2_300_000).decode()
TEXT = {"type": "input_text", "text": "What is this?"}
LOOK = "look"


def image(url: str = PIXEL, **more: Any) -> dict[str, Any]:
    return {"type": "input_image", "image_url": url, **more}


def ui_file(url: str, kind: str, name: str = "") -> dict[str, Any]:
    return {"type": "file", "mediaType": kind, "url": url, "filename": name or None}


def user(*parts: Any) -> list[Any]:
    return [{"role": "user", "content": [*parts]}]


def seen(model: StandinModel, number: int = -1) -> list[Any]:
    """Return the contents of the questions that the model was sent."""
    asked = [json.loads(body) for body in model.requests]
    messages = [body["messages"] for body in asked if "messages" in body][number]
    return [message["content"] for message in messages if message["role"] == "user"]


def urls(model: StandinModel) -> list[str]:
    """Return the images that the model was sent in its last request."""
    parts = [part for content in seen(model) if isinstance(content, list) for part in content]
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


class Chat:
    """A chat of a user of its own, through the AI SDK's messages."""

    def __init__(self, server: Server) -> None:
        self.server, self.id = server, str(uuid4())
        self.headers = {"X-Forwarded-User": self.id, "Accept": "text/event-stream"}

    def ask(self, *parts: Any, **more: Any) -> Any:
        """Ask, and return the response."""
        body = {"chatId": self.id, "messages": [{"role": "user", "parts": [*parts]}], **more}
        return self.server.http.post("/api/chat", json=body, headers=self.headers)

    def get(self, path: str) -> Any:
        """Return what is stored."""
        return self.server.http.get(path, headers=self.headers).json()

    @property
    def messages(self) -> list[Any]:
        """The stored messages; none if there is no such chat."""
        found = self.get(f"/api/chats/{self.id}/messages")
        return found if isinstance(found, list) else []


@pytest.fixture
def thread() -> str:
    """Return the id of a new thread."""
    return uuid4().hex


@pytest.mark.parametrize("how", [{}, {"stream": True}], ids=["whole", "stream"])
def test_an_image_reaches_the_model_now_and_in_later_turns(
    server: Server, model: StandinModel, thread: str, how: dict[str, Any]
) -> None:
    answer = server.post(user(TEXT, image()), thread, **how)
    assert answer.status_code == 200 and urls(model) == [PIXEL]
    assert seen(model)[0][0] == {"type": "text", "text": "What is this?"}
    server.ask("And now?", thread)
    assert urls(model) == [PIXEL] and seen(model)[-1] == "And now?"


def test_a_background_response_may_be_about_an_image(
    server: Server, model: StandinModel, thread: str
) -> None:
    response_id = begin(server, user(image()), thread)  # type: ignore[arg-type]
    Reader(server, response_id).wait()
    assert read(server, response_id)["status"] == "completed" and urls(model) == [PIXEL]
    server.ask("And now?", thread)
    assert urls(model) == [PIXEL]


def test_a_file_reaches_the_model(server: Server, model: StandinModel, thread: str) -> None:
    file = {"type": "input_file", "file_data": PDF, "filename": "a.pdf"}
    server.ask(user(TEXT, file), thread)
    assert seen(model)[0][1] == {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}}


def test_an_image_on_the_web_is_left_to_the_model(
    server: Server, model: StandinModel, thread: str
) -> None:
    server.ask(user(image("https://example.com/a.png", detail="low")), thread)
    assert seen(model)[0][0]["image_url"] == {"url": "https://example.com/a.png", "detail": "low"}


def test_an_image_that_is_resent_is_stored_once_and_another_is_new(
    server: Server, model: StandinModel, thread: str
) -> None:
    said = server.ask(user(TEXT, image()), thread)
    history = [*user(TEXT, image()), {"role": "assistant", "content": said}]
    server.ask([*history, *user(TEXT, image(OTHER))], thread)
    assert urls(model) == [PIXEL, OTHER]
    server.ask([*history, *user(TEXT, image(OTHER)), *history[1:], *user(TEXT)], thread)
    assert urls(model) == [PIXEL, OTHER] and len(seen(model)) == 3


def test_a_question_with_another_image_is_not_the_retry_of_one_that_failed(
    server: Server, model: StandinModel, thread: str
) -> None:
    server.ask("hello", thread)
    model.status = 500
    server.post(user(TEXT, image()), thread)
    model.status = 200
    server.ask(user(TEXT, image(OTHER)), thread)
    assert urls(model)[-1] == OTHER


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("how", [{}, {"stream": True}], ids=["whole", "stream"])
def test_a_model_that_takes_no_images_is_a_400_and_the_thread_goes_on(
    server: Server, model: StandinModel, thread: str, status: int, how: dict[str, Any]
) -> None:
    server.ask("hello", thread)
    model.status = status
    answer = server.post(user(TEXT, image()), thread, **how)
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "files_refused"
    assert "MODEL_ENDPOINT" in answer.text and "no images or files" in answer.text
    model.status = 200
    server.ask("And now?", thread)
    assert seen(model) == ["hello", "And now?"]


def test_a_refusal_of_text_is_not_blamed_on_files(
    server: Server, model: StandinModel, thread: str
) -> None:
    model.status = 400
    assert "images" not in server.post("hello", thread).text


def test_a_background_response_says_that_the_model_takes_no_images(
    server: Server, model: StandinModel, thread: str
) -> None:
    model.status = 400
    response_id = begin(server, user(image()), thread)  # type: ignore[arg-type]
    Reader(server, response_id).wait()
    assert read(server, response_id)["error"]["code"] == "files_refused"
    model.status = 200
    server.ask("hello", thread)
    assert seen(model) == ["hello"]


def test_a_chat_keeps_its_images_and_returns_them(server: Server, model: StandinModel) -> None:
    chat = Chat(server)
    parts = [ui_file(PIXEL, "image/png", "a.png"), {"type": "step-start"}]
    assert chat.ask({"type": "text", "text": LOOK}, *parts).status_code == 200
    assert urls(model) == [PIXEL]
    kept = {"type": "file", "mediaType": "image/png", "filename": "a.png", "url": PIXEL}
    assert [message["files"] for message in chat.messages] == [[kept], []]
    exported = chat.get("/api/me/export")["messages"]
    assert json.loads(exported[0]["files"]) == [kept]
    chat.ask({"type": "text", "text": "and?"})
    assert urls(model) == [PIXEL]


def test_a_message_of_a_chat_may_be_an_image_alone(server: Server, model: StandinModel) -> None:
    chat = Chat(server)
    assert chat.ask(ui_file(PIXEL, "image/png", "cat.png")).status_code == 200
    assert chat.get("/api/chats")[0]["title"] == "cat.png" and urls(model) == [PIXEL]


def test_a_question_with_another_image_is_not_the_last_one_again(
    server: Server, model: StandinModel
) -> None:
    chat = Chat(server)
    chat.ask({"type": "text", "text": LOOK}, ui_file(PIXEL, "image/png"))
    again = {"trigger": "regenerate-message"}
    chat.ask({"type": "text", "text": LOOK}, ui_file(PIXEL, "image/png"), **again)
    assert urls(model) == [PIXEL] and len(chat.messages) == 2
    chat.ask({"type": "text", "text": LOOK}, ui_file(OTHER, "image/png"))
    assert urls(model) == [PIXEL, OTHER] and len(chat.messages) == 4


def test_a_chat_does_not_keep_what_the_model_does_not_take(
    server: Server, model: StandinModel
) -> None:
    chat = Chat(server)
    chat.ask({"type": "text", "text": "hello"})
    model.status = 400
    assert "no images or files" in chat.ask(ui_file(PIXEL, "image/png")).text
    assert [message["role"] for message in chat.messages] == ["user", "assistant"]
    model.status = 200
    assert chat.ask({"type": "text", "text": "And now?"}).status_code == 200
    assert seen(model) == ["hello", "And now?"]


BAD = [
    image(SVG),
    image(HTML),
    image("javascript:alert(1)"),
    image("http://example.com/a.png"),
    image("file:///etc/passwd"),
    image("data:image/png;base64,%%%"),
    image("data:image/png,plain"),
    image(""),
    {"type": "input_image", "file_id": "file-1"},
    {"type": "input_image"},
    {"type": "input_file", "file_id": "file-1"},
    {"type": "input_file", "file_url": "https://example.com/a.pdf"},
    {"type": "input_file", "file_data": "JVBERi0=", "filename": "a.pdf"},
    {"type": "input_audio", "input_audio": {}},
]


@pytest.mark.parametrize("part", BAD, ids=lambda part: str(part)[:60])
def test_a_file_that_can_not_be_used_is_a_400_in_one_line(
    server: Server, model: StandinModel, part: dict[str, Any]
) -> None:
    answer = server.post(user(TEXT, part))
    message = answer.json()["error"]["message"]
    assert answer.status_code == 400 and "input.0" in message and len(message) < 300
    assert "\n" not in message and model.requests == []


def test_a_request_has_a_limit_of_parts_beside_files(server: Server) -> None:
    with free_event_loop(server):
        assert server.post(user(*[TEXT] * 99, image())).status_code == 200
        assert server.post(user(*[TEXT] * 2000)).status_code == 200
        for sent in (user(*[image()] * 101), user(image()) * 101, user(*[TEXT] * 101, image())):
            assert "MAX_FILE_PARTS" in server.post(sent).text


def test_a_message_of_a_chat_has_a_limit_of_parts_beside_files(server: Server) -> None:
    parts = [{"type": "text", "text": "a"}] * 100
    assert Chat(server).ask(*parts).status_code == 200
    refused = Chat(server).ask(*parts, ui_file(PIXEL, "image/png"))
    assert refused.status_code == 400 and "MAX_FILE_PARTS" in refused.text


@pytest.mark.parametrize(
    ("url", "kind"),
    [(SVG, "image/svg+xml"), (HTML, "image/png"), ("javascript:1", "image/png"), ("blob:1", "a/b")],
)
def test_a_file_of_a_chat_that_can_not_be_used_is_a_400(
    server: Server, model: StandinModel, url: str, kind: str
) -> None:
    chat = Chat(server)
    answer = chat.ask({"type": "text", "text": LOOK}, ui_file(url, kind))
    assert answer.status_code == 400 and "messages.parts.1" in answer.text, answer.text
    assert model.requests == [] and chat.messages == []


def test_files_of_an_answer_that_is_resent_are_left_out(
    server: Server, model: StandinModel, thread: str
) -> None:
    answer = {"role": "assistant", "content": [{"type": "output_text", "text": "Look:"}, image()]}
    server.ask([*user(TEXT), answer, *user(TEXT)], thread)
    assert urls(model) == []


def test_a_large_image_does_not_hold_the_event_loop(
    server: Server, model: StandinModel, thread: str
) -> None:
    chat = Chat(server)
    with free_event_loop(server):
        server.ask(user(TEXT, image(LARGE)), thread)
        server.ask([*user(TEXT, image(LARGE)), *user(TEXT)], thread)
        assert urls(model)[-1] == LARGE
        assert chat.ask(ui_file(LARGE, "image/jpeg")).status_code == 200
        assert chat.messages[0]["files"][0]["url"] == LARGE
    assert server.post(user(image(LARGE), image(LARGE))).status_code == 413
