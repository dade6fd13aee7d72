"""Hears what happens in a run: what models write, and which tool fails."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.tool import tool_call
from langchain_core.outputs import LLMResult
from langgraph.constants import TAG_NOSTREAM
from langgraph.errors import GraphBubbleUp

from agent_server.answers.content import UNREADABLE, read_content
from agent_server.answers.parts import new_call_id
from agent_server.answers.telling import Teller
from agent_server.errors import ApiError

# Nodes of LangChain's middleware, whose models talk to nobody.
HOOKS = (".before_agent", ".before_model", ".after_model", ".after_agent")

# Middleware that changes nothing of what the model said, by the names of its nodes.
HARMLESS = (
    "HumanInTheLoopMiddleware", "ModelCallLimitMiddleware", "TodoListMiddleware",
    "ToolCallLimitMiddleware", "TurnInput",
)  # fmt: skip


class Listener(BaseCallbackHandler):
    """Tells what the models of a graph write, but not those that tools or middleware call.

    Keeps only the text of their messages, with ids that no other message or call has.
    """

    raise_error = run_inline = True

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._inside: set[UUID] = set()  # runs of tools, and all that they start
        self._heard: dict[UUID, set[str]] = {}  # runs of models: the ids of calls they were sent
        self._silent: set[UUID] = set()
        self._tools: dict[UUID, str] = {}
        self.failed: tuple[BaseException, str] | None = None  # of a tool: the error, its name

    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: UUID, parent_run_id: Any = None, **_: Any
    ) -> None:
        """Note what a tool starts."""
        self._enter(run_id, parent_run_id)

    def on_tool_start(
        self,
        serialized: Any,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: Any = None,
        tool_call_id: str | None = None,
        **_: Any,
    ) -> None:
        """Tell that a tool begins."""
        if parent_run_id not in self._inside:
            self._teller.begin_call(tool_call_id)
        self._inside.add(run_id)
        self._tools[run_id] = str((serialized or {}).get("name", "a tool"))

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Note why a tool failed, and which."""
        if not isinstance(error, ApiError | GraphBubbleUp):
            self.failed = error, self._tools.get(run_id, "a tool")

    def on_chat_model_start(
        self,
        serialized: Any,
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: Any = None,
        tags: Any = None,
        metadata: Any = None,
        **_: Any,
    ) -> None:
        """Note which calls of tools a model sees, and whether what it says is told."""
        self._enter(run_id, parent_run_id)
        about = metadata or {}
        silent = TAG_NOSTREAM in (tags or ()) or "ls_structured_output_format" in about
        if silent or str(about.get("langgraph_node", "")).endswith(HOOKS):
            self._silent.add(run_id)
        seen = [m for several in messages for m in several if isinstance(m, AIMessage)]
        self._heard[run_id] = {str(c["id"]) for m in seen for c in m.tool_calls}

    def on_llm_new_token(self, token: Any, *, chunk: Any = None, run_id: UUID, **_: Any) -> None:
        """Tell a piece of a message."""
        message = getattr(chunk, "message", None)
        if message is not None and not self._is_private(run_id):
            self._teller.hear(run_id, message)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Note that a message breaks off."""
        self._teller.stop_hearing(run_id)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """Keep the text of a message, and make its ids its own."""
        sent = self._heard.pop(run_id, set())
        for generation in (one for several in response.generations for one in several):
            if isinstance(message := getattr(generation, "message", None), AIMessage):
                content = read_content(message)
                message.id = f"lc_{uuid4().hex}"  # providers repeat theirs
                if content.plain:
                    message.content = content.text
                    message.additional_kwargs.pop("refusal", None)
                _name_calls(message, sent)
                self._teller.keep(message, content)

    def _enter(self, run_id: UUID, parent_run_id: UUID | None) -> None:
        if parent_run_id in self._inside:
            self._inside.add(run_id)

    def _is_private(self, run_id: UUID) -> bool:
        return run_id in self._silent or run_id in self._inside


def _name_calls(message: AIMessage, taken: set[str]) -> None:
    """Give each call an id of its own; what a model wrote that is no JSON becomes a call, too."""
    for invalid in message.invalid_tool_calls:
        said = str(invalid.get("args") or "")
        arguments = {UNREADABLE: said[:200]} if said.strip() else {}
        name, call_id = str(invalid.get("name") or "unknown"), invalid.get("id")
        message.tool_calls.append(tool_call(name=name, args=arguments, id=call_id))
    message.invalid_tool_calls = []
    if not isinstance(message.content, str):  # the ids stand in its parts, too
        return
    for call in message.tool_calls:
        if (call_id := call["id"] or "") in {"", *taken}:
            call["id"] = call_id = new_call_id()
        taken.add(call_id)
    message.additional_kwargs.pop("tool_calls", None)  # as the endpoint named them


def may_change_answers(nodes: Iterable[str]) -> bool:
    """Return whether a middleware may change or refuse what the model has said."""
    after = [name for name in nodes if name.endswith(HOOKS[2:])]
    return any(not name.startswith(HARMLESS) for name in after)
