"""Agents as other people write them with the OpenAI Agents SDK, each a whole `agent.py`."""

IMPORTS = '''
from agents import (
    Agent,
    GuardrailFunctionOutput,
    RunConfig,
    function_tool,
    input_guardrail,
    output_guardrail,
)

from agent_server.model import build_model


@function_tool
def echo(text: str) -> str:
    """Return the text."""
    return text
'''

HANDOFFS = (
    IMPORTS
    + """

@input_guardrail
async def no_cards(context, agent, asked):
    return GuardrailFunctionOutput(None, "4242424242424242" in str(asked))


async def build_agent():
    model = build_model()
    poet = Agent(name="poet", instructions="You are the poet.", model=model, tools=[echo])
    clerk = Agent(name="clerk", instructions="You are the clerk.", model=model, handoffs=[poet])
    return Agent(
        name="desk",
        instructions="You are the desk.",
        model=model,
        handoffs=[clerk, poet],
        input_guardrails=[no_cards],
    )
"""
)

GUARDED = (
    IMPORTS
    + """

@output_guardrail
async def no_secrets(context, agent, said):
    return GuardrailFunctionOutput(None, "secret" in str(said))


async def build_agent():
    return Agent(
        name="guarded", model=build_model(), tools=[echo], output_guardrails=[no_secrets]
    )
"""
)

TOOLS = (
    IMPORTS
    + '''

@function_tool
def receipt() -> str:
    """Return what ends the turn."""
    return "Receipt number 7."


@function_tool(failure_error_function=None)
def forbidden() -> str:
    """Fail as a workspace does."""
    from databricks.sdk.errors import PermissionDenied

    raise PermissionDenied("not yours")


async def build_agent():
    model = build_model()
    expert = Agent(name="expert", instructions="You are the expert.", model=model)
    ask_expert = expert.as_tool("ask_expert", "Ask an expert.")
    return Agent(
        name="tools",
        model=model,
        tools=[receipt, forbidden, ask_expert],
        tool_use_behavior={"stop_at_tool_names": ["receipt"]},
    )


def run_config():
    return RunConfig(workflow_name="mine")
'''
)

CARELESS = (
    IMPORTS
    + """

@input_guardrail
async def mask(context, agent, asked):
    if asked[-1]["content"] == "mask":
        for item in asked[:-1]:
            if isinstance(item["content"], list):
                item["content"][0]["text"] = "***"
            else:
                item["content"] = "***"
    return GuardrailFunctionOutput(None, False)


async def build_agent():
    return Agent(name="careless", model=build_model(), input_guardrails=[mask])
"""
)
