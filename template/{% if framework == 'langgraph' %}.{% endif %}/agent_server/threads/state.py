"""The state of a LangGraph thread, and the middleware that adds only new messages to it."""

from collections.abc import Sequence
from typing import Annotated, Any, NotRequired
from uuid import NAMESPACE_OID, uuid5

from langchain.agents import AgentState
from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AnyMessage
from langgraph.channels import DeltaChannel, UntrackedValue
from langgraph.config import get_config
from langgraph.graph.message import add_messages
from langgraph.runtime import Runtime

from agent_server.threads.messages import kept_and_new, missing_results, removals, silent

# A full copy of the thread is stored once in so many steps; in between, only new messages are.
STEPS_BETWEEN_COPIES = 50


def _merge(messages: list[AnyMessage], writes: Sequence[Any]) -> list[AnyMessage]:
    flat = [m for write in writes for m in (write if isinstance(write, list) else [write])]
    return add_messages(messages, flat)  # type: ignore[arg-type, return-value]


class ThreadState(AgentState[Any]):
    """LangChain's agent state, except that a turn stores only the new messages."""

    messages: Annotated[
        list[AnyMessage], DeltaChannel(_merge, snapshot_frequency=STEPS_BETWEEN_COPIES)
    ]
    incoming: NotRequired[Annotated[list[AnyMessage], UntrackedValue]]
    again: NotRequired[Annotated[bool, UntrackedValue]]


class TurnInput(AgentMiddleware[ThreadState, Any]):
    """Adds the client's messages to the thread, once, before anything else runs."""

    state_schema = ThreadState

    async def abefore_agent(
        self, state: ThreadState, runtime: Runtime[Any]
    ) -> dict[str, Any] | None:
        """Return the new messages, after results for tool calls that a crash left open."""
        held, sent = state.get("messages", []), state.get("incoming", [])
        kept, new = kept_and_new(held, sent, state.get("again", False))
        for position, message in enumerate(new, start=len(kept)):
            message.id = _message_id(message, position)  # lets a turn recognise its own messages
        gone = [*held[len(kept) :], *silent(kept)]
        return {"messages": [*removals(gone), *missing_results(kept), *new]}


def _message_id(message: AnyMessage, position: int) -> str:
    # Not random: LangGraph may run this step again after a crash, and must not store it twice.
    thread_key = get_config()["configurable"].get("thread_id", "")
    return str(uuid5(NAMESPACE_OID, f"{thread_key}\n{position}\n{message.text}"))
