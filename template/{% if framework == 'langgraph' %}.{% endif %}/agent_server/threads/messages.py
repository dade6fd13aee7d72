"""Finds which messages of a LangGraph thread to keep, which are new, and which are missing."""

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    ToolCall,
    ToolMessage,
)
from langchain_core.messages.modifier import RemoveMessage

from agent_server.database.text import shortened, storable
from agent_server.settings import limit, setting
from agent_server.threads.deduplicate import (
    RoleAndText,
    after_answer,
    first_edited,
    first_new,
    first_replaced,
    still_meant,
)
from agent_server.threads.window import AROUND, INTERRUPTED, LETTERS, context_tokens

Messages = Sequence[AnyMessage]
# A message, as this process holds it, takes so many times the bytes stored.
HELD = 4
# What a model or a tool may have written.
WRITTEN = {
    "content", "id", "name", "tool_calls", "invalid_tool_calls", "tool_call_id",
    "additional_kwargs", "response_metadata",
}  # fmt: skip


def kept_and_new(
    held: Messages,
    sent: Messages,
    again: bool = False,
    cut: bool = False,
    replaced: Messages = (),
    unfinished: Sequence[str] | None = None,
) -> tuple[Messages, Messages]:
    """Return the messages of the thread to keep, and those in `sent` that it does not hold.

    A question that is asked again is not kept, nor is its answer (see `first_replaced`).
    With `cut`, `held` is only the end of the thread. `replaced` is the question in whose place
    `sent` asks another one. `unfinished` is what there is of the answer to replace (see
    `still_meant`).
    """
    thread, texts = _roles_and_texts(held), _roles_and_texts(sent)
    stays = first_replaced(thread, texts, again)
    if replaced:
        stays = first_edited(thread, _roles_and_texts(replaced)[-1])
    stays = still_meant(thread, stays, unfinished)
    return held[:stays], sent[first_new(thread[:stays], texts, cut) :]


def clean(message: Any) -> Any:
    """Return the message with storable text; what a tool returned is cut to TOOL_OUTPUT_BYTES.

    What is no message is returned as it is.
    """
    if not isinstance(message, BaseMessage):
        return message
    written = {name: value for name, value in vars(message).items() if name in WRITTEN}
    cleaned = {name: storable(value) for name, value in written.items()}
    if isinstance(message, ToolMessage):
        cleaned["content"] = _shortened(cleaned["content"], limit("TOOL_OUTPUT_BYTES"))
    return message if cleaned == written else message.model_copy(update=cleaned)


def removals(messages: Messages) -> list[RemoveMessage]:
    """Return the messages that remove `messages` from the thread."""
    return [RemoveMessage(str(message.id)) for message in messages]


def refused(messages: Messages, sent: Messages) -> Messages:
    """Return what the model may have refused: all since `sent` or the last answer, if earlier."""
    new = {message.id for message in sent}
    added = [index for index, message in enumerate(messages) if message.id in new]
    return messages[min([after_answer(_roles_and_texts(messages)), *added]) :]


def silent(messages: Messages) -> list[AnyMessage]:
    """Return the empty answers, which some models refuse in a history."""
    return [m for m in messages if isinstance(m, AIMessage) and not (_text(m).strip() or _calls(m))]


def missing_results(messages: Messages, text: str = INTERRUPTED) -> list[AnyMessage]:
    """Return a result for each call, of the last that were made, that has none."""
    made = max((i for i, m in enumerate(messages) if isinstance(m, AIMessage)), default=-1)
    calls = _tool_calls(messages[made]) if made >= 0 else []
    done = [m.tool_call_id for m in messages[made + 1 :] if isinstance(m, ToolMessage)]
    open_ids = [str(call["id"]) for call in calls if call["id"] not in done]
    return [ToolMessage(text, tool_call_id=call_id) for call_id in open_ids]


def out_of_reach(messages: Messages) -> Messages:
    """Return the oldest whole turns, when they are more than the model will ever see again.

    They are many at once, and seldom: the thread keeps half as much again as the model sees.
    """
    most = LETTERS * context_tokens()
    # What a summary is to cover stays for longer.
    room = most * 3 if setting("CONTEXT_SUMMARY") == "true" else most * 3 // 2
    if not most or sum(map(_size, messages)) <= room:
        return ()
    room, start = most, len(messages)
    for index in range(len(messages) - 1, -1, -1):
        room -= _size(messages[index])
        if room < 0:
            break
        start = index if isinstance(messages[index], HumanMessage) else start
    return messages[:start] if start < len(messages) else ()


def copied(value: Any) -> Any:
    """Return messages, in whatever lists, that can be changed without changing these."""
    match value:
        case list():
            return [copied(one) for one in value]
        case tuple() if hasattr(value, "_fields"):  # LangGraph's mark of a full copy
            return type(value)(*map(copied, value))
        case BaseMessage():
            return value.model_copy()
    return value


def held_size(value: Any) -> int:
    """Return about how many bytes messages take in this process."""
    match value:
        case list() | tuple():
            return sum(map(held_size, value))
        case BaseMessage():
            return HELD * (len(str(value.content)) + 400)
    return 0


def _text(message: AnyMessage) -> str:
    content = message.content  # mostly the text itself, which costs a tenth of `message.text`
    return content if isinstance(content, str) else str(message.text)


def _size(message: AnyMessage) -> int:
    return len(_text(message)) + LETTERS * AROUND


def _tool_calls(message: AnyMessage) -> list[ToolCall]:
    return message.tool_calls if isinstance(message, AIMessage) else []


def _shortened(content: Any, most: int) -> Any:
    """Return the content of a message with its texts cut off."""
    if isinstance(content, str):
        return shortened(content, most)
    return [_shorten_part(part, most) for part in content]


def _shorten_part(part: Any, most: int) -> Any:
    if isinstance(part, str):
        return shortened(part, most)
    return {k: shortened(v, most) if k == "text" else v for k, v in part.items()}


def _roles_and_texts(messages: Messages) -> list[RoleAndText]:
    return [(_role(message), _text(message) + _files(message)) for message in messages]


def _files(message: AnyMessage) -> str:
    """Return what tells a question from others with its text: its images and files."""
    if not isinstance(message, HumanMessage) or isinstance(message.content, str):
        return ""
    parts = [part for part in message.content if isinstance(part, dict)]
    files = [part.get("image_url") or part.get("file") for part in parts]
    known = [file for file in files if isinstance(file, dict)]
    return "".join(f"\0{file.get('url') or file.get('file_data')}" for file in known)


def _role(message: AnyMessage) -> str:
    if isinstance(message, HumanMessage):
        return "user"
    answers = isinstance(message, AIMessage) and _text(message).strip() and not _calls(message)
    return "assistant" if answers else "tool"


def _calls(message: AIMessage) -> bool:
    return bool(message.tool_calls or message.invalid_tool_calls)
