"""What the messages of a LangGraph thread say, and what a crash left them without."""

from collections.abc import Sequence

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from agent_server.history import Said, after_answer, first_new, first_replaced


def new_messages(held: Sequence[AnyMessage], sent: Sequence[AnyMessage]) -> Sequence[AnyMessage]:
    """Return those of the messages sent that the thread does not hold."""
    return sent[first_new(_said(held), _said(sent)) :]


def kept_messages(
    held: Sequence[AnyMessage], sent: Sequence[AnyMessage], again: bool
) -> Sequence[AnyMessage]:
    """Return what of the thread stays: all but what is asked again, with its answer."""
    return held[: first_replaced(_said(held), _said(sent), again)]


def unanswered(messages: Sequence[AnyMessage]) -> Sequence[AnyMessage]:
    """Return what follows the last answer."""
    return messages[after_answer(_said(messages)) :]


def missing_results(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Return a result for each tool call that was cut off without one."""
    calls = [c for m in messages if isinstance(m, AIMessage) for c in m.tool_calls]
    done = {m.tool_call_id for m in messages if isinstance(m, ToolMessage)}
    text = "The tool was interrupted; its result is unknown."
    return [ToolMessage(text, tool_call_id=str(c["id"])) for c in calls if c["id"] not in done]


def _said(messages: Sequence[AnyMessage]) -> list[Said]:
    return [(_role(message), message.text) for message in messages]


def _role(message: AnyMessage) -> str:
    if isinstance(message, HumanMessage):
        return "user"
    return "assistant" if isinstance(message, AIMessage) and not message.tool_calls else "tool"
