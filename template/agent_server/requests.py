"""What a client may send: the request of the OpenAI Responses API, as far as an agent uses it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictStr,
    Tag,
)
from uuid_utils.compat import uuid7

from agent_server.errors import bad_request
from agent_server.identity import User


def _storable(text: str) -> str:
    if re.search("[\x00\ud800-\udfff]", text):
        raise ValueError("must not hold NUL characters or halves of surrogate pairs")
    return text


def _text_or_list(value: object) -> str:
    return "text" if isinstance(value, str) else "list"


def _item_type(item: object) -> object:
    kind = item.get("type") if isinstance(item, dict) else getattr(item, "type", None)
    return kind or "message"


Text = Annotated[StrictStr, AfterValidator(_storable)]
Id = Annotated[Text, Field(min_length=1, max_length=256)]
# A named choice, so that an error tells what is wrong with the one the client meant.
TEXT, LIST = Tag("text"), Tag("list")
TAGS = {"text", "list", "message", "function_call", "function_call_output"}


class TextPart(BaseModel):
    """One piece of a message; only text is understood."""

    type: Literal["input_text", "output_text", "text"]
    text: Text


class Message(BaseModel):
    """A message of the conversation."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: Annotated[
        Annotated[Text, TEXT] | Annotated[list[TextPart], LIST], Discriminator(_text_or_list)
    ]

    @property
    def text(self) -> str:
        """The message's text, its parts joined."""
        parts = self.content
        return parts if isinstance(parts, str) else "".join(part.text for part in parts)


class FunctionCall(BaseModel):
    """A tool call of an earlier turn, as clients that resend the history echo it."""

    type: Literal["function_call"]
    call_id: Id
    name: Id
    arguments: Text


class FunctionCallOutput(BaseModel):
    """What that tool call returned."""

    type: Literal["function_call_output"]
    call_id: Id
    output: Text


Item = Message | FunctionCall | FunctionCallOutput
AnyItem = Annotated[
    Annotated[Message, Tag("message")]
    | Annotated[FunctionCall, Tag("function_call")]
    | Annotated[FunctionCallOutput, Tag("function_call_output")],
    Discriminator(_item_type),
]
Input = Annotated[
    Annotated[Text, Field(min_length=1), TEXT]
    | Annotated[list[AnyItem], Field(min_length=1), LIST],
    Discriminator(_text_or_list),
]


class CustomInputs(BaseModel):
    """Where the turn belongs; other keys are allowed and ignored."""

    thread_id: Id | None = None
    session_id: Id | None = None


class Context(BaseModel):
    """What Databricks' own clients send beside the input. Its user_id is never identity."""

    conversation_id: Id | None = None


@dataclass(frozen=True)
class Turn:
    """One turn of one user's conversation: what was sent, and where it belongs."""

    user: User
    thread_id: str
    items: list[Item]
    stream: bool

    @property
    def thread_key(self) -> str:
        """The thread's name in the database, which starts with its owner."""
        return f"{self.user.key}/{self.thread_id}"


class ResponseRequest(BaseModel):
    """The body of `POST /responses`; `model`, `temperature` and `instructions` are ignored."""

    model_config = ConfigDict(json_schema_extra={"example": {"input": "What can you do?"}})

    input: Input
    stream: StrictBool = False
    background: StrictBool = False
    custom_inputs: CustomInputs | None = None
    context: Context | None = None
    previous_response_id: Any = None
    conversation: Any = None

    def to_turn(self, user: User) -> Turn:
        """Return the turn this request asks for; raises a 400 ApiError when it can't be run."""
        for name in ("previous_response_id", "conversation"):
            if getattr(self, name) is not None:
                raise bad_request(f"{name} is not supported: send custom_inputs.thread_id instead.")
        if self.background:
            raise bad_request("background is not supported: this agent was generated without it.")
        return Turn(user, self._thread_id(), self._items(), self.stream)

    def _thread_id(self) -> str:
        custom, context = self.custom_inputs or CustomInputs(), self.context or Context()
        if custom.thread_id and custom.session_id and custom.thread_id != custom.session_id:
            raise bad_request("custom_inputs.thread_id and custom_inputs.session_id differ.")
        return custom.thread_id or custom.session_id or context.conversation_id or str(uuid7())

    def _items(self) -> list[Item]:
        if isinstance(self.input, str):
            return [Message(role="user", content=self.input)]
        # Like `instructions`: what the agent is told to be is its owner's alone.
        ignored = ("system", "developer")
        kept = [i for i in self.input if not isinstance(i, Message) or i.role not in ignored]
        if not any(isinstance(item, Message) and item.role == "user" for item in kept):
            raise bad_request("input must hold at least one message with the role user.")
        return kept


def reason(errors: Sequence[Mapping[str, Any]]) -> str:
    """Return one line that says where the body is malformed, and how."""
    place = ".".join(str(part) for part in errors[0]["loc"][1:] if part not in TAGS)
    return f"{place or 'body'}: {errors[0]['msg']}"
