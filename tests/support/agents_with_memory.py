"""Agents with a memory of their own, in the shapes of Databricks' advanced templates."""

from tests.support.existing_agents import app_template, forgetful

# One folder, three files: the agent, what opens its memory, and a server that opens it at start.
LANGGRAPH = '''\
from typing import Any

from agent_server.recall import borrow_memory, facts_of, remembered_by, settings_of_memory
from fastapi import HTTPException
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from mlflow.genai.agent_server import invoke, stream

SETTINGS = settings_of_memory()


async def build(store: Any, checkpointer: Any = None):
    tools = [print] + facts_of()
    return create_agent(
        model=ChatOpenAI(model="any"),
        tools=tools,
        checkpointer=checkpointer,
        store=store,
    )


@stream()
async def stream_handler(request: Any):
    """Answer.

    Every event, as it comes.
    """
    thread = request.custom_inputs["thread_id"]
    config: dict[str, Any] = {"configurable": {"thread_id": thread}, "tags": ["mine"]}
    if user := remembered_by(request):
        config["configurable"]["user_id"] = user
    state = {"messages": request.input, "custom_inputs": dict(request.custom_inputs)}

    try:
        async with borrow_memory(SETTINGS) as (checkpointer, store):
            await store.setup()
            config["configurable"]["store"] = store

            # Whoever asks.
            agent = await build(store=store, checkpointer=checkpointer)
            async for event in agent.astream(state, config, stream_mode=["updates"]):
                yield event
    except OSError as error:
        raise HTTPException(503, f"""\\
no memory: {error}
  (try again)
""") from error
'''
RECALL = '''\
import os
from contextlib import asynccontextmanager

from databricks_langchain import AsyncCheckpointSaver, AsyncDatabricksStore
from langchain_core.tools import tool

_opened = None


def keep_open(checkpointer, store):
    global _opened
    _opened = (checkpointer, store)


def settings_of_memory():
    return {"instance_name": os.getenv("LAKEBASE_INSTANCE_NAME")}


def remembered_by(request):
    return (request.custom_inputs or {}).get("user_id")


@asynccontextmanager
async def open_memory(settings):
    async with AsyncCheckpointSaver(**settings) as checkpointer, AsyncDatabricksStore(
        **settings, embedding_endpoint="e", embedding_dims=1024
    ) as store:
        yield checkpointer, store


@asynccontextmanager
async def borrow_memory(settings):
    if _opened:
        yield _opened
    else:
        async with open_memory(settings) as resources:
            yield resources


def facts_of():
    @tool
    async def get_user_memory(query: str, config) -> str:
        """Look it up."""
        return query

    return [get_user_memory]
'''
START = """\
from contextlib import asynccontextmanager

from mlflow.genai.agent_server import AgentServer

from agent_server.agent import SETTINGS
from agent_server.recall import keep_open, open_memory

server = AgentServer("ResponsesAgent")
app = server.app
original = app.router.lifespan_context


@asynccontextmanager
async def lifespan(app):
    try:
        async with open_memory(SETTINGS) as (checkpointer, store):
            await checkpointer.setup()
            await store.setup()
            print("ready")
            app.state.store = store
            keep_open(checkpointer, store)

            async with original(app):
                yield
    except OSError:
        print("no memory")
        raise


app.router.lifespan_context = lifespan
"""
OPENAI = """\
from agents import Agent, Runner, function_tool
from databricks_openai.agents import AsyncDatabricksSession, McpServer
from mlflow.genai.agent_server import invoke, stream

from agent_server.utils import new_items, settings, thread_named_by


def build() -> Agent:
    return Agent(name="Agent", instructions="Help.", tools=[])


@invoke()
async def invoke_handler(request):
    session_id = thread_named_by(request)
    session = AsyncDatabricksSession(
        session_id=session_id,
        instance_name=settings.instance_name,
        create_tables=False,  # they are there
    )
    agent = build()
    messages = await new_items(request, session)
    result = await Runner.run(agent, messages, session=session)
    return {"output": result.new_items, "session_id": session.session_id}


@stream()
async def stream_handler(request):
    session_id = thread_named_by(request)
    session = AsyncDatabricksSession(session_id=session_id, instance_name=settings.instance_name)
    result = Runner.run_streamed(build(), input="hi", session=session)
    async for event in result.stream_events():
        yield event
"""
# They answer at /ask, and open a Lakebase of their own that is nowhere.
REMEMBERING = {
    "langgraph": """\
from fastapi import FastAPI, Request
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI

from agent.recall import borrow_memory, facts_of

app = FastAPI()


def build(checkpointer, store):
    tools = [*facts_of()]
    return create_agent(ChatOpenAI(model="any"), tools, checkpointer=checkpointer, store=store)


@app.post("/ask")
async def ask(request: Request) -> dict[str, str]:
    body = await request.json()
    thread = body["thread"]
    config = {"configurable": {"thread_id": thread, "user_id": "anybody"}, "tags": ["mine"]}
    state = {"messages": [{"role": "user", "content": body["question"]}]}
    async with borrow_memory({"instance_name": "nowhere"}) as (checkpointer, store):
        await checkpointer.setup()
        agent = build(checkpointer, store)
        result = await agent.ainvoke(state, config)
    return {"answer": result["messages"][-1].text}
""",
    "openai": """\
from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from databricks_openai.agents import AsyncDatabricksSession
from fastapi import FastAPI, Request
from openai import AsyncOpenAI

app = FastAPI()
set_tracing_disabled(True)


@app.post("/ask")
async def ask(request: Request) -> dict[str, str]:
    body = await request.json()
    agent = Agent(name="Agent", model=OpenAIChatCompletionsModel("any", AsyncOpenAI()))
    session = AsyncDatabricksSession(session_id=body["thread"], instance_name="nowhere")
    question = [{"role": "user", "content": body["question"]}]
    if await session.get_items():
        question = question[-1:]
    result = Runner.run_streamed(agent, question, session=session)
    async for event in result.stream_events():
        pass
    return {"answer": result.final_output}
""",
}
BUNDLE_WITH_MEMORY = """\
bundle:
  name: my_bundle

variables:
  lakebase_branch:
    description: Name of the branch.
    default: production

resources:
  apps:
    my_app:
      name: my-app
      source_code_path: ./
      config:
        command: ["uv", "run", "start-app"]
        env:
          - name: LAKEBASE_AUTOSCALING_ENDPOINT
            value_from: "postgres"
          - name: LAKEBASE_AGENT_MEMORY_SCHEMA
            value: "their_memory"
          - name: BRANCH
            value: ${var.lakebase_branch}

      resources:
        - name: 'postgres'
          postgres:
            branch: projects/p/branches/production
            database: projects/p/branches/production/databases/d
            permission: 'CAN_CONNECT_AND_CREATE'

targets:
  dev:
    mode: development
    default: true
"""


def with_memory(framework: str) -> dict[str, str]:
    """Return the files of a project like the advanced ones of databricks/app-templates."""
    files = app_template(framework) | {"databricks.yml": BUNDLE_WITH_MEMORY}
    if framework == "openai":
        return files | {"agent_server/agent.py": OPENAI}
    return files | {
        "agent_server/agent.py": LANGGRAPH,
        "agent_server/recall.py": RECALL,
        "agent_server/start_server.py": START,
    }


def remembering(framework: str) -> dict[str, str]:
    """Return the files of an agent in `agent/main.py` that answers at /ask, and remembers."""
    files = forgetful(framework) | {"agent/main.py": REMEMBERING[framework]}
    return files if framework == "openai" else files | {"agent/recall.py": RECALL}
