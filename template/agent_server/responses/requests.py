"""A request of the OpenAI Responses API, and the turn it asks for."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StrictBool, ValidationInfo
from uuid_utils.compat import uuid7

from agent_server.approvals.answers import answers_in
from agent_server.errors import ApiError, bad_request
from agent_server.identity import User
from agent_server.responses.items import (
    AnyItem,
    ApprovalResponse,
    FunctionCall,
    FunctionCallOutput,
    Id,
    Item,
    Message,
    Text,
)
from agent_server.settings import limit
from agent_server.transport.data_urls import check_parts
from agent_server.transport.json_bounds import check_json

MAX_LABELS = 16  # in a response's metadata
# What unsupported parameters may be, besides null or empty.
DEFAULTS: dict[str, tuple[object, ...]] = {
    "tool_choice": ("auto",),
    "parallel_tool_calls": (True,),
    "top_logprobs": (0,),
    "format": ({"type": "text"},),
    "verbosity": ("medium",),
    "truncation": ("auto", "disabled"),
    "store": (True,),  # threads are kept
}
MAX_SHOWN = 60  # characters of a value that is refused
MAX_REASON = 200  # characters of a validation error, which may repeat what was sent


def _few_items(sent: object) -> object:
    """Return `sent`; raises ValueError for more items, parts, or values in JSON than allowed."""
    if isinstance(sent, list):
        if len(sent) > (most := limit("MAX_INPUT_ITEMS")):
            raise ValueError(f"must have at most {most} items (the limit MAX_INPUT_ITEMS)")
        check_parts(sent)
        arguments = (item.get("arguments") for item in sent if isinstance(item, dict))
        check_json(*(text.encode(errors="replace") for text in arguments if isinstance(text, str)))
    return sent


def _few_labels(sent: object) -> object:
    if isinstance(sent, dict) and len(sent) > MAX_LABELS:
        raise ValueError(f"must have at most {MAX_LABELS} entries")
    return sent


Items = Annotated[list[AnyItem], Field(min_length=1, fail_fast=True)]
Input = Annotated[Text | Items, BeforeValidator(_few_items), Field(min_length=1)]
# A response's metadata, with the OpenAI API's limits: stored and returned, otherwise unused.
Label = Annotated[Text, Field(max_length=64)]
Value = Annotated[Text, Field(max_length=512)]
Labels = Annotated[dict[Label, Value], BeforeValidator(_few_labels)]


def _only_default(value: Any, info: ValidationInfo) -> Any:
    """Return `value`; raises ValueError if a client asks for what the agent's owner decides."""
    unset = value in (None, []) or (isinstance(value, dict) and not any(value.values()))
    if not (unset or value in DEFAULTS.get(info.field_name or "", ())):
        shown = json.dumps(value)[:MAX_SHOWN]
        raise ValueError(f"{shown} is not supported: the agent decides this. Leave it out.")
    return value


# Not in what tells whether a request is the same as an earlier one: each has its only value.
Unsupported = Annotated[Any, AfterValidator(_only_default), Field(exclude=True)]


class Wording(BaseModel):
    """The parameter `text` of the OpenAI API."""

    format: Unsupported = None
    verbosity: Unsupported = None


class Parameters(BaseModel):
    """Parameters of the OpenAI API that would change an answer: only their defaults are taken."""

    tools: Unsupported = None
    tool_choice: Unsupported = None
    parallel_tool_calls: Unsupported = None
    max_tool_calls: Unsupported = None
    max_output_tokens: Unsupported = None
    top_logprobs: Unsupported = None
    reasoning: Unsupported = None
    text: Annotated[Wording | None, Field(exclude=True)] = None
    truncation: Unsupported = None
    prompt: Unsupported = None
    context_management: Unsupported = None
    moderation: Unsupported = None
    store: Unsupported = None


class Place(BaseModel):
    """The keys of `custom_inputs` and `context` that name the thread of a turn."""

    thread_id: Id | None = None
    session_id: Id | None = None
    conversation_id: Id | None = None


@dataclass(frozen=True)
class Replaced:
    """The last question of a chat, in whose place another one is asked."""

    id: UUID
    question: Message


@dataclass(frozen=True)
class Turn:
    """One turn of one user's conversation: what was sent, and in which thread."""

    user: User
    thread_id: str
    items: list[Item]
    stream: bool
    response_id: str = ""  # of its background response, which may take several attempts
    metadata: dict[str, str] = field(default_factory=dict)
    again: bool = False  # asks the last question of the thread again, to replace its answer
    replaces: Replaced | None = None  # asks another question in place of the last, with `again`
    unfinished: list[str] | None = None  # what there is of the answer to replace; None for all
    # Answers to what the last run of the thread waits for; then there are no items.
    approvals: list[ApprovalResponse] = field(default_factory=list)

    @property
    def thread_key(self) -> str:
        """The thread's key in the database, which starts with its owner's."""
        return self.user.thread_key(self.thread_id)

    @property
    def has_files(self) -> bool:
        """Whether a message in it has images or files."""
        return any(isinstance(item, Message) and item.files for item in self.items)


class ResponseRequest(Parameters):
    """The body of `POST /responses`; `model`, `temperature` and `instructions` are ignored."""

    input: Input
    stream: StrictBool | None = None
    background: StrictBool | None = None
    custom_inputs: Place | None = None
    context: Place | None = None
    metadata: Labels | None = None
    previous_response_id: Any = None
    conversation: Any = None

    def to_turn(self, user: User) -> Turn:
        """Return the turn this request asks for; raises a 400 ApiError when it can't be run."""
        if self.previous_response_id is not None or self.conversation is not None:
            raise bad_request("only custom_inputs.thread_id can continue a thread.")
        thread, labels, said = self._thread_id(), self.metadata or {}, answers_in(self.input)
        items = [] if said else self._items()
        return Turn(user, thread, items, bool(self.stream), metadata=labels, approvals=said)

    def _thread_id(self) -> str:
        place, context = self.custom_inputs or Place(), self.context or Place()
        if len({place.thread_id, place.session_id} - {None}) > 1:
            raise bad_request("custom_inputs.thread_id and custom_inputs.session_id differ.")
        return place.thread_id or place.session_id or context.conversation_id or str(uuid7())

    def _items(self) -> list[Item]:
        sent = self.input
        if isinstance(sent, str):
            sent = [Message(type="message", role="user", content=sent)]
        kept = [i for i in sent if isinstance(i, Item) and (not isinstance(i, Message) or i.counts)]
        if not any(isinstance(item, Message) and item.role == "user" for item in kept):
            raise bad_request("input: must hold a message that is not empty, with the role user.")
        return _without_halves(kept)


def _without_halves(items: list[Item]) -> list[Item]:
    """Leave out calls without an output, and the reverse: a client may cut between the two."""
    calls = {item.call_id for item in items if isinstance(item, FunctionCall)}
    outputs = {item.call_id for item in items if isinstance(item, FunctionCallOutput)}
    whole = calls & outputs
    return [item for item in items if isinstance(item, Message) or item.call_id in whole]


def to_bad_request(errors: Sequence[Any]) -> ApiError:
    """Return the 400 for a malformed body: one line that says where and what the mistake is."""
    deepest = max(errors, key=lambda error: len(error["loc"]))
    place = [str(part) for part in deepest["loc"][1:] if re.fullmatch(r"[a-z_]+|\d+", str(part))]
    text = " ".join(deepest["msg"].split()).removeprefix("Value error, ")[:MAX_REASON]
    return bad_request(f"{'.'.join(place) or 'body'}: {text}")
