"""What a client of the chat API may send."""

from typing import Annotated, Literal
from uuid import UUID, uuid4

from pydantic import AwareDatetime, BaseModel, Field

from agent_server.errors import bad_request
from agent_server.identity import User
from agent_server.responses.items import Message, Text
from agent_server.responses.requests import Turn

TITLE_LENGTH = 80


class Part(BaseModel):
    """A part of an AI SDK message; only parts of the type `text` are used."""

    type: str
    text: Text = ""


class UiMessage(BaseModel):
    """A message as the AI SDK sends it."""

    role: str
    parts: Annotated[list[Part], Field(fail_fast=True)]


class ChatRequest(BaseModel):
    """The body of `POST /api/chat`: `message`, or `messages`, whose last question is used."""

    chat_id: Annotated[UUID, Field(alias="chatId", default_factory=uuid4)]
    message: Text = ""
    messages: Annotated[list[UiMessage], Field(fail_fast=True)] = []
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"

    @property
    def text(self) -> str:
        """The question; raises a 400 ApiError when there is none."""
        asked = [message for message in self.messages if message.role == "user"]
        parts = [part.text for part in asked[-1].parts if part.type == "text"] if asked else []
        if not (text := self.message or "".join(parts)).strip():
            raise bad_request("message: must hold text, or messages must hold a user message.")
        return text

    def to_turn(self, user: User) -> Turn:
        """Return the requested turn, in the thread named after the chat's id."""
        message = Message(type="message", role="user", content=self.text)
        again = self.trigger == "regenerate-message"
        return Turn(user, str(self.chat_id), [message], stream=True, again=again)


class Title(BaseModel):
    """The body of `PATCH /api/chats/{id}`."""

    title: Annotated[Text, Field(min_length=1, max_length=TITLE_LENGTH)]


class Page(BaseModel):
    """The part of a list to return; each page's `Link` header points to the next."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    before: AwareDatetime | None = None
    before_id: UUID | None = None


class ChatPage(Page):
    """A page of the chats whose titles contain `search`."""

    search: Text = ""
