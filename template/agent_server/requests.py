"""What a client may send: the request of the OpenAI Responses API, as far as an agent uses it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StrictBool, StrictStr
from pydantic_core import from_json
from uuid_utils.compat import uuid7

from agent_server.errors import ApiError
from agent_server.identity import User
from agent_server.texts import UNSTORABLE

MOST_SAID = 200  # characters of what is wrong, which may repeat what was sent


def _storable(text: str) -> str:
    if re.search(UNSTORABLE, text):
        raise ValueError("must not hold NUL characters or halves of surrogate pairs")
    return text


def _arguments(text: str) -> str:
    try:
        arguments = from_json(text)
    except ValueError:  # a model may have said so
        return text
    if not isinstance(arguments, dict):
        raise ValueError("must be a JSON object")
    return text


def _typed(item: object) -> object:
    return {"type": "message", **item} if isinstance(item, dict) else item


Text = Annotated[StrictStr, AfterValidator(_storable)]
Id = Annotated[Text, Field(min_length=1, max_length=256)]
# Of a response, as the OpenAI API bounds it: kept and given back, and nothing else.
Labels = dict[Annotated[Text, Field(max_length=64)], Annotated[Text, Field(max_length=512)]]


class TextPart(BaseModel):
    """One piece of a message; only text is understood."""

    type: Literal["input_text", "output_text", "text"]
    text: Text


class Message(BaseModel):
    """A message of the conversation."""

    type: Literal["message"]
    role: Literal["user", "assistant", "system", "developer"]
    content: Text | list[TextPart]

    @property
    def text(self) -> str:
        """The message's text, its parts joined."""
        parts = self.content
        return parts if isinstance(parts, str) else "".join(part.text for part in parts)

    @property
    def counts(self) -> bool:
        """Whether the agent hears of it: models refuse what says nothing."""
        # What the agent is told to be is its owner's alone, like `instructions`.
        return self.role in ("user", "assistant") and bool(self.text.strip())


class FunctionCall(BaseModel):
    """A tool call of an earlier turn, as clients that resend the history echo it."""

    type: Literal["function_call"]
    call_id: Id
    name: Id
    arguments: Annotated[Text, AfterValidator(_arguments)]


class FunctionCallOutput(BaseModel):
    """What that tool call returned."""

    type: Literal["function_call_output"]
    call_id: Id
    output: Text


Item = Message | FunctionCall | FunctionCallOutput
AnyItem = Annotated[Annotated[Item, Field(discriminator="type")], BeforeValidator(_typed)]


class Place(BaseModel):
    """The keys of `custom_inputs` and `context` that say where a turn belongs."""

    thread_id: Id | None = None
    session_id: Id | None = None
    conversation_id: Id | None = None


@dataclass(frozen=True)
class Turn:
    """One turn of one user's conversation: what was sent, and where it belongs."""

    user: User
    thread_id: str
    items: list[Item]
    stream: bool
    response_id: str = ""  # of the background response it makes, which may take several attempts
    metadata: dict[str, str] = field(default_factory=dict)
    again: bool = False  # asks what the thread was asked last, for an answer instead of that one

    @property
    def thread_key(self) -> str:
        """The thread's name in the database, which starts with its owner."""
        return self.user.thread_key(self.thread_id)


class ResponseRequest(BaseModel):
    """The body of `POST /responses`; `model`, `temperature` and `instructions` are ignored."""

    input: Annotated[Text | list[AnyItem], Field(min_length=1)]
    stream: StrictBool | None = None
    background: StrictBool | None = None
    custom_inputs: Place | None = None
    context: Place | None = None
    metadata: Annotated[Labels | None, Field(max_length=16)] = None
    previous_response_id: Any = None
    conversation: Any = None

    def to_turn(self, user: User) -> Turn:
        """Return the turn this request asks for; raises a 400 ApiError when it can't be run."""
        if self.previous_response_id is not None or self.conversation is not None:
            raise bad_request("continue a thread with custom_inputs.thread_id, nothing else.")
        thread, labels = self._thread_id(), self.metadata or {}
        return Turn(user, thread, self._items(), bool(self.stream), metadata=labels)

    def _thread_id(self) -> str:
        place, context = self.custom_inputs or Place(), self.context or Place()
        if len({place.thread_id, place.session_id} - {None}) > 1:
            raise bad_request("custom_inputs.thread_id and custom_inputs.session_id differ.")
        return place.thread_id or place.session_id or context.conversation_id or str(uuid7())

    def _items(self) -> list[Item]:
        sent = self.input
        if isinstance(sent, str):
            sent = [Message(type="message", role="user", content=sent)]
        items = [item for item in sent if not isinstance(item, Message) or item.counts]
        if not any(isinstance(item, Message) and item.role == "user" for item in items):
            raise bad_request("input: must hold a message with the role user that says something.")
        # A client that sends the last part of a conversation may cut it between the two.
        calls = {item.call_id for item in items if isinstance(item, FunctionCall)}
        outputs = {item.call_id for item in items if isinstance(item, FunctionCallOutput)}
        whole = calls & outputs
        return [item for item in items if isinstance(item, Message) or item.call_id in whole]


def bad_request(text: str) -> ApiError:
    """Return the 400 for a request that can't be run."""
    return ApiError(400, "invalid_request", text)


def to_bad_request(errors: Sequence[Any]) -> ApiError:
    """Return the 400 for a malformed body: one line that says where it is wrong, and how."""
    deepest = max(errors, key=lambda error: len(error["loc"]))
    place = [str(part) for part in deepest["loc"][1:] if re.fullmatch(r"[a-z_]+|\d+", str(part))]
    text = " ".join(deepest["msg"].split())[:MOST_SAID]
    return bad_request(f"{'.'.join(place) or 'body'}: {text}")
