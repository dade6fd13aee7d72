"""What the messages of a LangGraph thread say, and what a crash left them without."""

from collections.abc import Sequence

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langchain_core.messages.modifier import RemoveMessage

from agent_server.history import Said, after_answer, first_new, first_replaced

Messages = Sequence[AnyMessage]


def kept_and_new(held: Messages, sent: Messages, again: bool = False) -> tuple[Messages, Messages]:
    """Return what stays of the thread, and those of the messages sent that it does not hold.

    What does not stay is a question that is asked again, with its answer (see `first_replaced`).
    """
    thread, texts = _said(held), _said(sent)
    stays = first_replaced(thread, texts, again)
    return held[:stays], sent[first_new(thread[:stays], texts) :]


def removals(messages: Messages) -> list[RemoveMessage]:
    """Return what takes `messages` out of the thread."""
    return [RemoveMessage(str(message.id)) for message in messages]


def refused(messages: Messages, sent: Messages) -> Messages:
    """Return what the model may have refused: what was added with `sent`, or has no answer yet."""
    new = {message.id for message in sent}
    added = [index for index, message in enumerate(messages) if message.id in new]
    return messages[min([after_answer(_said(messages)), *added]) :]


def silent(messages: Messages) -> list[AnyMessage]:
    """Return the answers that say nothing, which some models refuse to be told of."""
    return [m for m in messages if isinstance(m, AIMessage) and not (m.text.strip() or _calls(m))]


def missing_results(messages: Messages) -> list[AnyMessage]:
    """Return a result for each tool call that was cut off without one."""
    calls = [c for m in messages if isinstance(m, AIMessage) for c in m.tool_calls]
    done = {m.tool_call_id for m in messages if isinstance(m, ToolMessage)}
    text = "The tool was interrupted; its result is unknown."
    return [ToolMessage(text, tool_call_id=str(c["id"])) for c in calls if c["id"] not in done]


def _said(messages: Messages) -> list[Said]:
    return [(_role(message), message.text) for message in messages]


def _role(message: AnyMessage) -> str:
    if isinstance(message, HumanMessage):
        return "user"
    answers = isinstance(message, AIMessage) and message.text.strip() and not _calls(message)
    return "assistant" if answers else "tool"


def _calls(message: AIMessage) -> bool:
    return bool(message.tool_calls or message.invalid_tool_calls)
