"""One turn: run the agent on what the user sent, and tell the response what happens."""

import json
from dataclasses import dataclass
from typing import Any

import openai
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.constants import START
from langgraph.errors import GraphRecursionError
from langgraph.graph.state import CompiledStateGraph

from agent_server.errors import ModelError
from agent_server.identity import User
from agent_server.requests import Turn
from agent_server.responses import ResponseBuilder
from agent_server.thread_messages import refused, removals
from agent_server.thread_store import open_thread
from agent_server.threads import to_messages

MLFLOW_FLAVOR = "mlflow.langchain"
MAX_STEPS = 50  # calls of the model, with those of the tools it asks for
Graph = CompiledStateGraph[Any, User, Any, Any]


@dataclass(frozen=True)
class Turns:
    """Runs the turns of every user; one per process."""

    agent: Graph
    pool: Any = None
    store: Any = None

    async def check(self) -> None:
        """Raise psycopg.OperationalError unless the database answers within two seconds."""
        if self.pool:
            async with self.pool.connection(timeout=2) as connection:
                await connection.execute("SELECT 1")

    async def run(self, turn: Turn, response: ResponseBuilder) -> None:
        """Run one turn, and tell `response` what the model and the tools say as they say it."""
        async with open_thread(self.pool, turn.thread_key, turn.response_id) as checkpointer:
            graph = self.agent.copy({"checkpointer": checkpointer, "store": self.store})
            how: dict[str, Any] = {"context": turn.user}
            how["stream_mode"] = ["messages", "updates"] if turn.stream else ["updates"]
            how["durability"] = ("sync" if turn.response_id else "exit") if checkpointer else None
            how["config"] = {"configurable": {"thread_id": turn.thread_key}}
            how["config"]["recursion_limit"] = 2 * MAX_STEPS
            how["config"]["metadata"] = {"response_id": turn.response_id}
            incoming = to_messages(turn.items)
            sent: dict[str, Any] | None = {"incoming": incoming, "again": turn.again}
            if checkpointer and turn.response_id and await _resumes(graph, how["config"], response):
                sent = None
            try:
                async for mode, chunk in graph.astream(sent, **how):
                    tell = _tell_text if mode == "messages" else _tell_update
                    tell(chunk, response)
            except GraphRecursionError as error:
                raise ModelError(f"no answer within {MAX_STEPS} steps") from error
            except (openai.BadRequestError, openai.UnprocessableEntityError):
                if checkpointer:
                    await _forget(graph, how["config"], incoming)
                raise
        response.complete()


async def _forget(graph: Graph, config: RunnableConfig, sent: list[AnyMessage]) -> None:
    """Take out of the thread what the model refuses: it would refuse every later turn too."""
    messages = (await graph.aget_state(config)).values.get("messages", [])
    gone = removals(refused(messages, sent))
    await graph.aupdate_state(config, {"messages": gone}, as_node=START)


async def _resumes(graph: Graph, config: RunnableConfig, response: ResponseBuilder) -> bool:
    """Tell what an attempt that was cut off left in the thread; False when it left nothing."""
    state = await graph.aget_state(config)
    same = (state.metadata or {}).get("response_id") == config["metadata"]["response_id"]
    # Before that, what the user said is not in the thread yet.
    if not same or any(node.endswith((START, ".before_agent")) for node in state.next):
        return False
    messages = state.values["messages"]
    last = max(i for i, message in enumerate(messages) if isinstance(message, HumanMessage))
    for message in messages[last + 1 :]:
        _tell_message(message, response)
    return True


def _tell_text(chunk: Any, response: ResponseBuilder) -> None:
    message, metadata = chunk
    # Only what the agent's own model says, not a model that a tool calls.
    own = metadata["langgraph_node"] == "model" and isinstance(message, AIMessageChunk)
    if own and message.text:
        response.text(message.text)


def _tell_update(chunk: Any, response: ResponseBuilder) -> None:
    for node, update in chunk.items():
        # A middleware that ends the run says why.
        ends = isinstance(update, dict) and update.get("jump_to") == "end"
        if ends or node in ("model", "tools"):
            for message in (update or {}).get("messages", []):
                _tell_message(message, response)


def _tell_message(message: AnyMessage, response: ResponseBuilder) -> None:
    if isinstance(message, ToolMessage):
        response.tool_output(message.tool_call_id, message.text)
    if isinstance(message, AIMessage):
        response.end_text(message.text)
        for call in message.tool_calls:
            response.tool_call(str(call["id"]), call["name"], json.dumps(call["args"]))
        if used := message.usage_metadata:
            response.count(used["input_tokens"], used["output_tokens"])
