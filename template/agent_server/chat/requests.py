"""What a client of the chat API may send."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from pydantic import AwareDatetime, BaseModel, Field, StrictBool, ValidationError

from agent_server.approvals.answers import checked
from agent_server.errors import bad_request
from agent_server.identity import User
from agent_server.responses.items import ApprovalResponse, Id, Message, Reason, Text
from agent_server.responses.requests import Turn, to_bad_request
from agent_server.transport.data_urls import check_parts

TITLE_LENGTH = 80
SEARCH_LENGTH = 200
QUESTION = {"type": "message", "role": "user"}
PARTS = ("body", "messages", "parts")  # where the parts are in a request


class Part(BaseModel):
    """A part of an AI SDK message; only parts of the types `text` and `file` are used."""

    type: str
    text: Text = ""
    url: Text = ""
    media_type: Annotated[Text, Field(alias="mediaType")] = ""
    filename: Text | None = None

    def to_part(self) -> dict[str, Any]:
        """Return it as the Responses API has it; it is empty if it is not used."""
        if self.type != "file":
            return {"type": "text", "text": self.text if self.type == "text" else ""}
        kind = "input_image" if self.media_type.startswith("image/") else "input_file"
        return {"type": kind, "url": self.url, "filename": self.filename or ""}


class UiMessage(BaseModel):
    """A message as the AI SDK sends it."""

    role: str
    parts: Annotated[list[Part], Field(fail_fast=True)]


def to_message(parts: Sequence[Part], text: str = "") -> Message:
    """Return a question with these parts, or this text; raises ValidationError."""
    content = [part.to_part() for part in parts] or text
    return Message.model_validate({**QUESTION, "content": content})


class Decision(BaseModel):
    """What the user says to a request to approve a tool call."""

    approval_request_id: Annotated[Id, Field(validation_alias="id")]
    approve: StrictBool
    reason: Reason | None = None


class ChatRequest(BaseModel):
    """The body of `POST /api/chat`: `message`, or `messages`, whose last question is used."""

    chat_id: Annotated[UUID, Field(alias="chatId", default_factory=uuid4)]
    message: Text = ""
    messages: Annotated[list[UiMessage], Field(fail_fast=True)] = []
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    replaces: UUID | None = None  # the last question, which another wording is to replace
    approval: Decision | None = None  # of a tool call that waits; then there is no question

    def to_turn(self, user: User) -> Turn:
        """Return the requested turn, in the thread named after the chat's id.

        Raises a 400 ApiError when there is no question, or a file in it that can't be used.
        """
        if said := self.approval:
            kind: Any = {"type": "mcp_approval_response"}
            approvals = checked([ApprovalResponse(**kind, **said.model_dump())])
            return Turn(user, str(self.chat_id), [], stream=True, approvals=approvals)
        again = self.trigger == "regenerate-message" or self.replaces is not None
        return Turn(user, str(self.chat_id), [self._question()], stream=True, again=again)

    def _question(self) -> Message:
        asked = [message for message in self.messages if message.role == "user"]
        parts = asked[-1].parts if asked and not self.message else []
        try:
            check_parts([{"content": [{"type": part.type} for part in parts]}])
            message = to_message(parts, self.message)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            raise to_bad_request([{**e, "loc": (*PARTS, *e["loc"][1:])} for e in errors]) from None
        except ValueError as error:
            raise bad_request(f"messages: {error}.") from None
        if not message.counts:
            raise bad_request("message: must hold text, or messages must hold a user message.")
        return message


class Title(BaseModel):
    """The body of `PATCH /api/chats/{id}`."""

    title: Annotated[Text, Field(min_length=1, max_length=TITLE_LENGTH)]


class Page(BaseModel):
    """The part of a list to return; each page's `Link` header points to the next."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    before: AwareDatetime | None = None
    before_id: UUID | None = None


class ChatPage(Page):
    """A page of the chats whose titles contain `search`, or whose messages have its words.

    Its first eight words count.
    """

    search: Annotated[Text, Field(max_length=SEARCH_LENGTH)] = ""
