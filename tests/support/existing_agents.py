"""Agent projects that were not generated, as people have them, written for these tests."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from textwrap import dedent

from tests.support.commands import Done, run_here
from tests.support.releases import commit, git
from tests.support.rendering import without_git

LANGGRAPH_AGENT = """\
from typing import AsyncGenerator

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from mlflow.genai.agent_server import invoke, stream
from mlflow.types.responses import (
    ResponsesAgentRequest,
    ResponsesAgentResponse,
    ResponsesAgentStreamEvent,
    output_to_responses_items_stream,
    to_chat_completions_input,
)


async def init_agent():
    tools = []
    return create_agent(tools=tools, model=ChatOpenAI(model="any"))


@invoke()
async def invoke_handler(request: ResponsesAgentRequest) -> ResponsesAgentResponse:
    outputs = [
        event.item
        async for event in stream_handler(request)
        if event.type == "response.output_item.done"
    ]
    return ResponsesAgentResponse(output=outputs)


@stream()
async def stream_handler(
    request: ResponsesAgentRequest,
) -> AsyncGenerator[ResponsesAgentStreamEvent, None]:
    agent = await init_agent()
    messages = {"messages": to_chat_completions_input([i.model_dump() for i in request.input])}
    async for event in agent.astream(input=messages, stream_mode=["updates"]):
        for update in event[1].values():
            for item in output_to_responses_items_stream(update.get("messages", [])):
                yield item
"""
OPENAI_AGENT = """\
from agents import Agent, OpenAIChatCompletionsModel, Runner
from mlflow.genai.agent_server import invoke
from mlflow.types.responses import ResponsesAgentRequest, ResponsesAgentResponse
from openai import AsyncOpenAI


def create_agent() -> Agent:
    model = OpenAIChatCompletionsModel("any", AsyncOpenAI())
    return Agent(name="Agent", instructions="You are helpful.", model=model)


@invoke()
async def invoke_handler(request: ResponsesAgentRequest) -> ResponsesAgentResponse:
    agent = create_agent()
    messages = [i.model_dump(exclude_none=True) for i in request.input]
    result = await Runner.run(agent, messages)
    return ResponsesAgentResponse(output=[item.to_input_item() for item in result.new_items])
"""
START = """\
from mlflow.genai.agent_server import AgentServer

import agent_server.agent  # noqa: F401

agent_server = AgentServer("ResponsesAgent")
app = agent_server.app
"""
PYPROJECT = """\
[project]
name = "agent-server"
version = "0.1.0"
description = "An agent"
requires-python = ">=3.11"
dependencies = [
    "fastapi>=0.115.12",
    "uvicorn>=0.34.2",
    {packages},  # the model
    "mlflow>=3.10,<4",
    "python-dotenv",
]

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[dependency-groups]
dev = [
    "pytest>=7.0.0",
]

[project.scripts]
start-server = "agent_server.start_server:main"
"""
BUNDLE = """\
bundle:
  name: my_bundle

resources:
  apps:
    my_app:
      name: "my-app"
      source_code_path: ./
      config:
        command: ["uv", "run", "start-app"]
        env:
          - name: MLFLOW_TRACKING_URI
            value: "databricks"
          - name: MLFLOW_EXPERIMENT_ID
            value_from: "experiment"

      # Resources which this app has access to
      resources:
        - name: 'experiment'
          experiment:
            experiment_id: ""
            permission: 'CAN_MANAGE'

        # NOTE: more of them here

targets:
  dev:
    mode: development
    default: true
    # workspace:
    #   host: https://...

  prod:
    mode: production
"""
# Nothing here is as a formatter would have it.
ODD_BUNDLE = """\
# the team's bundle
bundle: {name: 'odd'}   # one line
include: ["extra/*.yml"]
variables:
    memory_schema:
        description: "ours already"
        default:   'kept'
resources:
    apps:
        "the agent":
            name: >-
                the-agent
            description: |
                # not a comment
                Remembers.

            config: {command: [python, app.py], env: [{name: "A", value: 'b: c'}]}
            resources:
            -   name: database   # a secret, of all things
                secret: {scope: s, key: k, permission: READ}
            -   name: "kept"
                serving_endpoint: {name: databricks-gte-large-en, permission: CAN_QUERY}
            # the last word
targets:
    dev: {mode: development}
---
second: document   # of another tool
"""
ODD_PYPROJECT = """\
[project]
name = 'the-agent'
version = "1"
requires-python = ">=3.11"
dependencies = ['Databricks_OpenAI>=0.16,<0.20', "openai-agents[viz] >= 0.15", "psycopg>=3.2"]
[tool.uv]
package = false
"""
APP_YAML = """\
command: ["uv", "run", "uvicorn", "app:app"]
# databricks apps listen on port 8000

env:
  - name: MLFLOW_EXPERIMENT_ID
    valueFrom: "experiment"
"""
HOME_MADE = """\
from langgraph.graph import StateGraph

graph = StateGraph(dict).compile(name="home-made")


async def answer(messages):
    return await graph.ainvoke({"messages": messages}, config={"tags": ["x"]})
"""


# They forget everything: a list of messages goes in, an answer comes out.
FORGETFUL = {
    "langgraph": """\
from fastapi import FastAPI, Request
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI

app = FastAPI()


@app.post("/ask")
async def ask(request: Request) -> dict[str, str]:
    body = await request.json()
    question, thread_id = body["question"], body["thread"]
    messages = {"messages": [{"role": "user", "content": question}]}
    agent = create_agent(ChatOpenAI(model="any"), tools=[])
    result = await agent.ainvoke(messages)
    return {"answer": result["messages"][-1].text}
""",
    "openai": """\
from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from fastapi import FastAPI, Request
from openai import AsyncOpenAI

app = FastAPI()
set_tracing_disabled(True)


@app.post("/ask")
async def ask(request: Request) -> dict[str, str]:
    body = await request.json()
    question, thread_id = body["question"], body["thread"]
    agent = Agent(name="Agent", model=OpenAIChatCompletionsModel("any", AsyncOpenAI()))
    result = await Runner.run(agent, question)
    return {"answer": result.final_output}
""",
}
FORGETFUL_PYPROJECT = """\
[project]
name = "forgetful"
version = "1"
requires-python = ">=3.11"
dependencies = [{packages}, "fastapi", "uvicorn"]
"""


def forgetful(framework: str) -> dict[str, str]:
    """Return the files of an agent in `agent/main.py` that answers at /ask, and forgets."""
    packages = {"langgraph": '"langchain", "langchain-openai"', "openai": '"openai-agents"'}
    return {
        "pyproject.toml": FORGETFUL_PYPROJECT.format(packages=packages[framework]),
        "app.yaml": APP_YAML,
        "agent/__init__.py": "",
        "agent/main.py": FORGETFUL[framework],
        ".gitignore": "*.log\n.venv\n",
    }


def app_template(framework: str) -> dict[str, str]:
    """Return the files of a project like those of databricks/app-templates."""
    langgraph = framework == "langgraph"
    packages = (
        '"databricks-langchain>=0.12.0", "langgraph>=1.0.1"'
        if langgraph
        else '"databricks-openai>=0.8.0", "openai-agents>=0.4.1"'
    )
    return {
        "pyproject.toml": PYPROJECT.format(packages=packages),
        "databricks.yml": BUNDLE,
        "README.md": "# Agent\n",
        ".gitignore": ".env\n.venv\n__pycache__\n*.log\nuv.lock\n",
        ".env": "DATABRICKS_TOKEN=dapi-secret\n",
        ".env.example": "# cp .env.example .env\nDATABRICKS_CONFIG_PROFILE=DEFAULT\n",
        "agent_server/__init__.py": "",
        "agent_server/agent.py": LANGGRAPH_AGENT if langgraph else OPENAI_AGENT,
        "agent_server/start_server.py": START,
        "agent_server/utils.py": '"""Theirs."""\n',
        "scripts/grant_lakebase_permissions.py": "print('theirs')\n",
    }


ODD = {
    "pyproject.toml": ODD_PYPROJECT,
    "databricks.yml": ODD_BUNDLE,
    "src/the_agent/main.py": "from agents import Agent\n\nagent = Agent(name='x', tools=[print])\n",
    "src/the_agent/run.py": "from the_agent.main import agent\n",
}
WITH_APP_YAML = {
    "pyproject.toml": dedent("""\
        [project]
        name = "home made"
        dependencies = ["langgraph"]
    """),
    "app.yaml": APP_YAML.replace("\n", "\r\n"),
    "app.py": HOME_MADE,
}
POETRY = {
    "pyproject.toml": '[tool.poetry.dependencies]\nlanggraph = "^1"\n',
    "app.yaml": APP_YAML,
    "app.py": HOME_MADE,
}
REQUIREMENTS = {"requirements.txt": "langgraph\n", "app.yaml": APP_YAML, "app.py": HOME_MADE}


def write_agent(folder: Path, files: Mapping[str, str], in_git: bool = True) -> Path:
    """Write a project, and commit it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    if in_git:
        git(folder, "init", "--quiet")
        commit(folder)
    return folder


def run(folder: Path, template: Path, *flags: str, yes: bool = True) -> Done:
    """Run the command with nobody there to answer."""
    command = ["adopt", str(folder), "--source", str(template), *flags]
    with nullcontext() if (template / ".git").exists() else without_git():
        return run_here(Path(), *command, *(["--yes"] if yes else []))


def adopted(folder: Path, template: Path, *flags: str) -> str:
    """Adopt a project, and return what was printed."""
    done = run(folder, template, *flags)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout
