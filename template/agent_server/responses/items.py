"""The OpenAI Responses API items that a client may send, as far as agents use them."""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    Field,
    StrictBool,
    StrictStr,
)
from pydantic_core import from_json

from agent_server.database.text import to_storable
from agent_server.transport.data_urls import check_file, check_image

# Items of tools that only OpenAI runs, and the like: no agent here uses them.
UnusedType = Literal[
    "reasoning", "item_reference", "compaction", "image_generation_call", "web_search_call",
    "file_search_call", "code_interpreter_call", "computer_call", "computer_call_output",
    "local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output",
    "apply_patch_call", "apply_patch_call_output", "custom_tool_call", "custom_tool_call_output",
    "tool_search_call", "tool_search_output", "mcp_list_tools", "mcp_call",
    "mcp_approval_request", "program", "program_output",
]  # fmt: skip


def _storable(text: str) -> str:
    if to_storable(text) != text:
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


def _stored(file_id: object) -> None:
    if file_id is not None:
        raise ValueError("no files are stored here: send the file itself, as a data: URL")


def _typed(item: object) -> object:
    if not isinstance(item, dict) or item.get("type") is not None:
        return item
    refers = "id" in item and "role" not in item
    return {**item, "type": "item_reference" if refers else "message"}


def _to_text(output: object) -> object:
    """Return the text of a tool's output, which may have parts."""
    if not isinstance(output, list):
        return output
    texts = [part.get("text", "") for part in output if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


Text = Annotated[StrictStr, AfterValidator(_storable)]
Id = Annotated[Text, Field(min_length=1, max_length=256)]
Reason = Annotated[Text, Field(max_length=2000)]
FileName = Annotated[Text, Field(max_length=256)]
NoFileId = Annotated[None, BeforeValidator(_stored)]
# In the API, in the AI SDK, and in a stored request.
IMAGE_URL = AliasChoices("image_url", "url")
FILE_URL = AliasChoices("file_data", "file_url", "url")


class TextPart(BaseModel):
    """A part of a message: text."""

    type: Literal["input_text", "output_text", "text"]
    text: Text


class RefusalPart(BaseModel):
    """A part of an answer in which a model refused to give one."""

    type: Literal["refusal"]
    refusal: Text

    @property
    def text(self) -> str:
        """What the model said."""
        return self.refusal


class File(BaseModel):
    """A part of a question that is no text."""

    file_id: NoFileId = None
    filename: FileName = ""
    url: Text

    @property
    def text(self) -> str:
        """Nothing."""
        return ""


class ImagePart(File):
    """An image: the model's provider loads one that is on the web."""

    type: Literal["input_image"]
    url: Annotated[Text, AfterValidator(check_image), Field(validation_alias=IMAGE_URL)]
    detail: Literal["auto", "low", "high", "original"] | None = None


class FilePart(File):
    """A file of any other kind: chat completions take none from the web."""

    type: Literal["input_file"]
    url: Annotated[Text, AfterValidator(check_file), Field(validation_alias=FILE_URL)]


Part = TextPart | RefusalPart | ImagePart | FilePart
AnyPart = Annotated[Part, Field(discriminator="type")]


class Message(BaseModel):
    """A message of the conversation."""

    type: Literal["message"]
    role: Literal["user", "assistant", "system", "developer"]
    content: Text | Annotated[list[AnyPart], Field(fail_fast=True)]

    @property
    def parts(self) -> list[Part]:
        """The parts that are not empty; an answer has no files, which models would refuse."""
        if isinstance(self.content, str):
            return [TextPart(type="text", text=self.content)]
        files = self.role == "user"
        return [part for part in self.content if part.text or (files and isinstance(part, File))]

    @property
    def text(self) -> str:
        """The message's text, its parts joined."""
        return "".join(part.text for part in self.parts)

    @property
    def files(self) -> list[File]:
        """Its images and files."""
        return [part for part in self.parts if isinstance(part, File)]

    @property
    def counts(self) -> bool:
        """Whether to send it to the agent: models reject empty messages."""
        # Only the agent's owner sets the system prompt; `instructions` are ignored, too.
        said = bool(self.text.strip() or self.files)
        return self.role in ("user", "assistant") and said


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
    output: Annotated[Text, BeforeValidator(_to_text)]


class ApprovalResponse(BaseModel):
    """The user's answer to a request to approve a tool call."""

    type: Literal["mcp_approval_response"]
    approval_request_id: Id
    approve: StrictBool
    reason: Reason | None = None


class UnusedItem(BaseModel):
    """An item that clients resend with a history, and that is left out."""

    type: UnusedType


Item = Message | FunctionCall | FunctionCallOutput
AnyItem = Annotated[
    Annotated[Item | ApprovalResponse | UnusedItem, Field(discriminator="type")],
    BeforeValidator(_typed),
]
