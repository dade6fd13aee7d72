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
# What tools do with `runtime.store`, on the store of the project and on LangGraph's own.
STORES = """
import asyncio
from langgraph.store.base import GetOp, PutOp, SearchOp
from langgraph.store.postgres.aio import AsyncPostgresStore
from agent_server.database.memory import FIELDS, open_store
from agent_server.database.pool import open_pool, open_setup
from agent_server.model import build_client

ROWS = '''
    SELECT s.key, field_name, ttl_minutes, expires_at > now() + interval '4 minutes' AS later
    FROM store s LEFT JOIN store_vectors v ON v.prefix = s.prefix AND v.key = s.key
    WHERE s.prefix LIKE %s ORDER BY s.key, field_name'''
COMPARED = [{"$ne": 1}, {"$gt": "1"}, {"$gte": 1, "$lte": 2}, {"$lt": 2}, {"$eq": 3}, 1]
FILTERS = [{"x": 1}, *({"n": compared} for compared in COMPARED)]

def shown(items):
    return [(i.key, i.namespace[1:], i.value, round(i.score or 0, 4)) for i in items]

async def use(store, root, pool):
    place = (root, "a_%")
    await store.aput(place, "a", {"memory": "I like teal", "n": 1})
    await store.aput((*place, "work"), "b", {"memory": "I work in Ghent", "n": 2})
    await store.aput((root, "axb"), "c", {"memory": "I like teal dogs"})
    await store.aput(place, "d", {"memory": "I like no index", "n": 3}, index=False)
    await store.aput(place, "e", {"like": ["teal sea", "rain"]}, index=["like[*]"], ttl=5)
    await store.aput(place, "a", {"memory": "I like teal", "n": 1, "again": True})
    yield shown(await store.asearch(place, query="like teal"))
    yield shown(await store.asearch(place, query="like teal", limit=1, offset=1))
    yield shown(await store.asearch(place, query="like teal", refresh_ttl=False))
    yield shown(await store.asearch((root,), query="like teal"))
    yield shown(await store.asearch(place))
    for wanted in FILTERS:
        yield shown(await store.asearch(place, query="like teal", filter=wanted))
        yield shown(await store.asearch(place, filter=wanted))
    yield (await store.aget(place, "a")).value, await store.aget(place, "z")
    yield [found[1:] for found in await store.alist_namespaces(prefix=(root,))]
    search = SearchOp(place, query="teal", limit=1)
    got, found, put = await store.abatch([GetOp(place, "a"), search, PutOp(place, "d", None)])
    yield got.value, shown(found), put
    yield (await asyncio.to_thread(store.get, place, "a")).value
    yield shown(await asyncio.to_thread(store.search, place, query="rain", limit=1))
    await asyncio.to_thread(store.put, place, "f", {"memory": "from a thread"})
    await store.adelete(place, "a")
    async with pool.connection() as connection:
        yield await (await connection.execute(ROWS, [root + ".%"])).fetchall()

async def main():
    async with open_pool(lambda: None) as pool:
        async with open_setup(pool) as connection:
            ours = await open_store(pool, connection, build_client())
        index = {"dims": 1024, "embed": ours.embeddings, "fields": FIELDS}
        theirs = AsyncPostgresStore(pool, index=index)
        ours = [answer async for answer in use(ours, "ours", pool)]
        theirs = [answer async for answer in use(theirs, "theirs", pool)]
        for one, other in zip(ours, theirs, strict=True):
            assert one == other, (one, other)
        print("the same", len(ours))

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


@pytest.mark.parametrize("project", ["langgraph"], indirect=True)
def test_the_store_answers_as_that_of_langgraph(project: Project) -> None:
    assert "the same 25" in _run(project, STORES)


@pytest.mark.parametrize("project", ["openai"], indirect=True)
def test_the_openai_session_reads_a_thread_and_adds_to_it(project: Project) -> None:
    assert "My name is Ada" in _run(project, OPENAI)
    with Server(project) as server:
        assert "Grace" in server.until_ready().ask("What is my name?", "t")
