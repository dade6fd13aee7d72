"""The OpenAI Responses API items that a client may send, as far as agents use them."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StrictStr
from pydantic_core import from_json

from agent_server.database.text import UNSTORABLE


def _storable(text: str) -> str:
    if re.search(UNSTORABLE, text):
        raise ValueError("must not hold NUL characters or halves of surrogate pairs")
    return text


def _arguments(text: str) -> str:
    try:
        arguments = from_json(text)
    except ValueError:  # a model may have written it
        return text
    if not isinstance(arguments, dict):
        raise ValueError("must be a JSON object")
    return text


def _typed(item: object) -> object:
    return {"type": "message", **item} if isinstance(item, dict) else item


Text = Annotated[StrictStr, AfterValidator(_storable)]
Id = Annotated[Text, Field(min_length=1, max_length=256)]


class TextPart(BaseModel):
    """One part of a message; only text is supported."""

    type: Literal["input_text", "output_text", "text"]
    text: Text


class Message(BaseModel):
    """A message of the conversation."""

    type: Literal["message"]
    role: Literal["user", "assistant", "system", "developer"]
    content: Text | Annotated[list[TextPart], Field(fail_fast=True)]

    @property
    def text(self) -> str:
        """The message's text, its parts joined."""
        parts = self.content
        return parts if isinstance(parts, str) else "".join(part.text for part in parts)

    @property
    def counts(self) -> bool:
        """Whether to send it to the agent: models reject empty messages."""
        # Only the agent's owner sets the system prompt; `instructions` are ignored, too.
        return self.role in ("user", "assistant") and bool(self.text.strip())


class FunctionCall(BaseModel):
    """A tool call of an earlier turn, as clients that resend the history echo it."""

    type: Literal["function_call"]
    call_id: Id
    name: Id
    arguments: Annotated[Text, AfterValidator(_arguments)]


class FunctionCallOutput(BaseModel):
    """The result of such a tool call."""

    type: Literal["function_call_output"]
    call_id: Id
    output: Text


Item = Message | FunctionCall | FunctionCallOutput
AnyItem = Annotated[Annotated[Item, Field(discriminator="type")], BeforeValidator(_typed)]
