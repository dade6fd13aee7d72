"""What a project stores, read with the classes that the public documentation teaches.

Those classes look a Lakebase up before they connect; here their base classes, which do the reading,
are given the same tables on the embedded Postgres.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Renders
from tests.support.project import Project, Server, install
from tests.support.rendering import Combination

pytestmark = pytest.mark.generated
LANGGRAPH = """
import asyncio, os
from databricks_langchain import AsyncCheckpointSaver, AsyncDatabricksStore
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.store.postgres.aio import AsyncPostgresStore
from agent_server.agent import build_agent

async def main():
    assert issubclass(AsyncCheckpointSaver, AsyncPostgresSaver)
    url = os.environ["DATABASE_URL"] + "?options=-csearch_path%3Dmy_agent,public"
    async with AsyncPostgresSaver.from_conn_string(url) as saver:
        agent = (await build_agent()).copy({"checkpointer": saver})
        state = await agent.aget_state({"configurable": {"thread_id": "ada/t"}})
        print([message.text for message in state.values["messages"]])
    async with AsyncPostgresStore.from_conn_string(url) as store:
        print([item.value for item in await store.asearch(("memories", "ada"))])

asyncio.run(main())
"""
OPENAI = """
import asyncio, os
from databricks_openai.agents import AsyncDatabricksSession
from agents.extensions.memory import SQLAlchemySession

async def main():
    assert issubclass(AsyncDatabricksSession, SQLAlchemySession)
    url = os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:")
    url += "?options=-csearch_path%3Dmy_agent,public"
    session = SQLAlchemySession.from_url("ada/t", url=url, create_tables=True)
    print(await session.get_items())
    await session.add_items([{"role": "user", "content": "My name is Grace"}])

asyncio.run(main())
"""


@pytest.fixture
def project(
    request: pytest.FixtureRequest, renders: Renders, environments: Path
) -> Iterator[Project]:
    """Yield an installed project that has been told a name, and something to remember."""
    combination = Combination(request.param, ("short_term", "long_term"), "local")
    project = install(renders[combination], environments / request.param)
    with project.open_database() as url, Server(project, DATABASE_URL=url) as server:
        server.until_ready().ask("My name is Ada", "t")
        server.ask("Remember that I like teal", "u")
        yield project


def _run(project: Project, script: str) -> str:
    return project.uv(
        "run",
        "python",
        "-c",
        "from local.offline import open_offline\n"
        "with open_offline():\n    exec(" + repr(script) + ")",
    )


@pytest.mark.parametrize("project", ["langgraph"], indirect=True)
def test_the_langgraph_classes_read_threads_and_memories(project: Project) -> None:
    printed = _run(project, LANGGRAPH)
    assert "My name is Ada" in printed
    assert "{'memory': 'I like teal'}" in printed


@pytest.mark.parametrize("project", ["openai"], indirect=True)
def test_the_openai_session_reads_a_thread_and_adds_to_it(project: Project) -> None:
    assert "My name is Ada" in _run(project, OPENAI)
    with Server(project) as server:
        assert "Grace" in server.until_ready().ask("What is my name?", "t")
