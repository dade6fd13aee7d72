"""Agents whose owner switched approval on, as the frameworks have it: each a whole `agent.py`.

`send` writes down whom it was told to write to, in the file that SENT names.
"""

SEND = """
import os
from pathlib import Path


def write_down(to: str) -> str:
    with Path(os.environ["SENT"]).open("a") as file:
        file.write(f"{to}\\n")
    return f"Sent to {to}."
"""

LANGGRAPH = (
    SEND
    + '''
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain.tools import tool

from agent_server.identity import User
from agent_server.model import build_model
from agent_server.threads import ThreadState, TurnInput


@tool
def send(to: str) -> str:
    """Send a letter."""
    return write_down(to)


@tool
def echo(text: str) -> str:
    """Return the text."""
    return text


async def build_agent():
    return create_agent(
        build_model(),
        tools=[send, echo],
        middleware=[TurnInput(), HumanInTheLoopMiddleware(interrupt_on={"send": True})],
        state_schema=ThreadState,
        context_schema=User,
    )
'''
)

OPENAI = (
    SEND
    + '''
from agents import Agent, function_tool

from agent_server.model import build_model


@function_tool(needs_approval=True)
def send(to: str) -> str:
    """Send a letter."""
    return write_down(to)


@function_tool
def echo(text: str) -> str:
    """Return the text."""
    return text


async def build_agent():
    return Agent(name="clerk", model=build_model(), tools=[send, echo])
'''
)

GATED = {"langgraph": LANGGRAPH, "openai": OPENAI}

# LangChain asks for each call on its own, as the call starts.
PER_CALL = LANGGRAPH.replace('{"send": True}', '{"send": True}, interrupt_mode="per_call"')

# The agent that asks is a node of somebody else's graph.
SUBGRAPH = (
    LANGGRAPH.replace("build_agent", "build_clerk")
    + """

from langgraph.graph import START, MessagesState, StateGraph


async def build_agent():
    graph = StateGraph(MessagesState)
    graph.add_node("clerk", await build_clerk())
    graph.add_edge(START, "clerk")
    return graph.compile()
"""
)

# A node of the owner's asks in its own words.
OWN_QUESTION = (
    SEND
    + """
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt


async def clerk(state):
    if interrupt({"to": "ada@x"}):
        return {"messages": [AIMessage(write_down("ada@x"))]}
    return {"messages": [AIMessage("I did not write.")]}


async def build_agent():
    graph = StateGraph(MessagesState)
    graph.add_node("clerk", clerk)
    graph.add_edge(START, "clerk")
    return graph.compile()
"""
)

# The agent that asks is one that another hands over to, or uses as a tool.
HANDOFF = (
    OPENAI.replace("build_agent", "build_clerk")
    + """

async def build_agent():
    clerk = await build_clerk()
    return Agent(name="desk", model=build_model(), handoffs=[clerk])
"""
)
AS_TOOL = (
    OPENAI.replace("build_agent", "build_clerk")
    + """

async def build_agent():
    clerk = (await build_clerk()).as_tool("ask_clerk", "Ask the clerk.")
    return Agent(name="desk", model=build_model(), tools=[clerk])
"""
)
