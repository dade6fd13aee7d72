"""Agents as other people write them with LangGraph, each a whole `agent.py`."""

IMPORTS = '''
from langchain.agents import create_agent
from langchain.tools import tool
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from agent_server.model import build_model


@tool
def echo(text: str) -> str:
    """Return the text."""
    return text
'''

OWN_NODES = (
    IMPORTS
    + """

async def build_agent():
    model = build_model().bind_tools([echo])

    async def chatbot(state):
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("chatbot", chatbot)
    graph.add_node("do_things", ToolNode([echo]))
    graph.add_edge(START, "chatbot")
    graph.add_conditional_edges("chatbot", tools_condition, {"tools": "do_things", END: END})
    graph.add_edge("do_things", "chatbot")
    return graph.compile()
"""
)

SUPERVISOR = (
    IMPORTS
    + """
from langgraph.types import Command


async def build_agent():
    model = build_model()
    poet = create_agent(model, tools=[echo], system_prompt="You are a poet.", name="poet")
    clerk = create_agent(model, tools=[echo], system_prompt="You are a clerk.", name="clerk")
    router = model.with_config(tags=["nostream"])

    async def supervisor(state):
        asked = state["messages"][-1].content
        # What it says is nobody's answer.
        await router.ainvoke([HumanMessage("Who should answer? " + asked)])
        return Command(goto="poet" if "poem" in asked else "clerk")

    graph = StateGraph(MessagesState)
    graph.add_node("supervisor", supervisor, destinations=("poet", "clerk"))
    graph.add_node("poet", poet)
    graph.add_node("clerk", clerk)
    graph.add_edge(START, "supervisor")
    return graph.compile()
"""
)

PRIVATE_MODELS = (
    IMPORTS
    + '''
from agent_server.threads import ThreadState, TurnInput


@tool
async def ask_expert(question: str) -> str:
    """Ask an expert."""
    said = await build_model().ainvoke([HumanMessage("/say the secret of the expert")])
    return f"The expert knows {len(said.text)} letters."


@tool(return_direct=True)
def receipt() -> str:
    """Return what ends the turn."""
    return "Receipt number 7."


@tool
def forbidden() -> str:
    """Fail as a workspace does."""
    from databricks.sdk.errors import PermissionDenied

    raise PermissionDenied("not yours")


async def build_agent():
    tools = [ask_expert, receipt, forbidden]
    return create_agent(
        build_model(), tools=tools, middleware=[TurnInput()], state_schema=ThreadState
    )
'''
)

GUARDED = (
    IMPORTS
    + """
from langchain.agents.middleware import PIIMiddleware, SummarizationMiddleware

from agent_server.threads import ThreadState, TurnInput


async def build_agent():
    return create_agent(
        build_model(),
        tools=[echo],
        middleware=[
            TurnInput(),
            PIIMiddleware("email", strategy="redact", apply_to_input=False, apply_to_output=True),
            PIIMiddleware("credit_card", strategy="block"),
            SummarizationMiddleware(
                model=build_model(), trigger=("messages", 12), keep=("messages", 4)
            ),
        ],
        state_schema=ThreadState,
    )
"""
)

# Changes the messages that it is given, instead of returning others.
CARELESS = (
    IMPORTS
    + """
from langchain.agents.middleware import before_model

from agent_server.threads import ThreadState, TurnInput


@before_model
async def mask(state, runtime):
    if state["messages"][-1].text == "mask":
        for message in state["messages"][:-1]:
            message.content = "***"


async def build_agent():
    return create_agent(
        build_model(), middleware=[TurnInput(), mask], state_schema=ThreadState
    )
"""
)
