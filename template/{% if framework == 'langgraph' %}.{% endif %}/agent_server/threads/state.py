"""The state of a LangGraph thread, and the middleware that adds only new messages to it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, NotRequired
from uuid import NAMESPACE_OID, uuid4, uuid5

from langchain.agents import AgentState
from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import AnyMessage, BaseMessage, ToolMessage
from langchain_core.messages.modifier import RemoveMessage
from langgraph.channels import DeltaChannel, UntrackedValue
from langgraph.config import get_config
from langgraph.graph.message import add_messages
from langgraph.runtime import Runtime
from langgraph.types import Command

from agent_server.answers.content import UNREADABLE
from agent_server.errors import output_too_large
from agent_server.mcp_servers.configured import load_mcp_tools
from agent_server.on_behalf import OnBehalfError
from agent_server.settings import limit
from agent_server.threads.messages import (
    clean,
    kept_and_new,
    missing_results,
    out_of_reach,
    removals,
    silent,
)
from agent_server.threads.window import seen

# A full copy of the thread is stored once in so many steps; in between, only new messages are.
STEPS_BETWEEN_COPIES = 50

CallModel = Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
CallTool = Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]


def _merge(messages: list[AnyMessage], writes: Sequence[Any]) -> list[AnyMessage]:
    # Whichever node wrote them: the next call of the model must be able to send them.
    flat = [m for write in writes for m in (write if isinstance(write, list) else [write])]
    for message in flat:
        if isinstance(message, BaseMessage):
            message.id = message.id or str(uuid4())  # before a clean copy is kept in its place
    flat = [clean(message) for message in flat]
    return add_messages(messages, flat)  # type: ignore[arg-type, return-value]


class ThreadState(AgentState[Any]):
    """LangChain's agent state, except that a turn stores only the new messages."""

    messages: Annotated[
        list[AnyMessage], DeltaChannel(_merge, snapshot_frequency=STEPS_BETWEEN_COPIES)
    ]
    incoming: NotRequired[Annotated[list[AnyMessage], UntrackedValue]]
    again: NotRequired[Annotated[bool, UntrackedValue]]
    replaced: NotRequired[Annotated[list[AnyMessage], UntrackedValue]]
    unfinished: NotRequired[Annotated[list[str] | None, UntrackedValue]]
    dropped: NotRequired[int]  # messages that only earlier checkpoints of the thread hold


class TurnInput(AgentMiddleware[ThreadState, Any]):
    """Adds the client's messages to the thread, once, before anything else runs.

    Cleans what the model and the tools write before it is stored.
    """

    state_schema = ThreadState

    def __init__(self) -> None:
        super().__init__()
        self._own: set[str] = set()  # names of the agent's own tools

    async def abefore_agent(
        self, state: ThreadState, runtime: Runtime[Any]
    ) -> dict[str, Any] | None:
        """Return the new messages, after results for tool calls that a crash left open."""
        held, sent = state.get("messages", []), state.get("incoming", [])
        thread_key = get_config()["configurable"].get("thread_id", "")
        again, dropped = state.get("again", False), state.get("dropped", 0)
        instead_of = state.get("replaced", []), state.get("unfinished")
        added = added_by_turn(thread_key, held, sent, again, dropped > 0, *instead_of)
        old = out_of_reach(held)
        if noted := seen.get():
            noted.before = dropped + len(old)
        gone = {"messages": [*removals(old), *added], "dropped": dropped + len(old)}
        return gone if old else {"messages": added}

    async def awrap_model_call(self, request: ModelRequest[Any], handler: CallModel) -> Any:
        """Let the model see the tools of MCP servers, too; return its messages, cleaned."""
        self._own = {name for tool in request.tools if (name := getattr(tool, "name", None))}
        more = await load_mcp_tools(self._own)
        response = await handler(request.override(tools=[*request.tools, *more.values()]))
        response.result = [clean(message) for message in response.result]
        return response

    async def awrap_tool_call(self, request: ToolCallRequest, handler: CallTool) -> Any:
        """Return the tool's message, cleaned and cut off at TOOL_OUTPUT_BYTES.

        A tool that can't act as the user says so to the model.

        Raises a 502 ApiError when it is larger than a whole turn may be.
        """
        name, arguments = request.tool_call["name"], request.tool_call["args"]
        if arguments.keys() == {UNREADABLE}:
            return _failed(request, f"The arguments are no JSON object: {arguments[UNREADABLE]}")
        if request.tool is None and (found := (await load_mcp_tools(self._own)).get(name)):
            request = request.override(tool=found)
        try:
            message, most = await handler(request), limit("OUTPUT_BYTES")
        except OnBehalfError as error:
            return _failed(request, str(error))
        if isinstance(message, ToolMessage) and len(message.text) > most:
            raise output_too_large(f"A tool returned more than {most} bytes.")
        return clean(message)


def _failed(request: ToolCallRequest, text: str) -> ToolMessage:
    return ToolMessage(text, tool_call_id=str(request.tool_call["id"]), status="error")


def added_by_turn(
    thread_key: str,
    held: Sequence[AnyMessage],
    sent: Sequence[AnyMessage],
    again: bool,
    cut: bool = False,
    replaced: Sequence[AnyMessage] = (),
    unfinished: Sequence[str] | None = None,
) -> list[AnyMessage | RemoveMessage]:
    """Return what a turn that sends these messages adds to the thread, and removes from it."""
    kept, new = kept_and_new(held, sent, again, cut, replaced, unfinished)
    before = str(kept[-1].id) if kept else ""
    for message in new:
        # Not random: LangGraph may run this again after a crash, and must not store it twice. Nor
        # of place and text: they come again when a summary takes the place of earlier messages.
        before = message.id = str(uuid5(NAMESPACE_OID, f"{thread_key}\n{before}\n{message.text}"))
    gone = [*held[len(kept) :], *silent(kept)]
    return [*removals(gone), *missing_results(kept), *new]
