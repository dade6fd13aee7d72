"""Many users do all kinds of things while what the app needs fails, one part after the other.

`uv run poe abuse` has 500 users for five minutes.
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterator

import pytest

from tests.abuse.crowd import Crowd
from tests.abuse.honest_user import assert_memory_returns, memory_of
from tests.standins.workspace import Workspace, open_workspace
from tests.support.on_lakebase import serve
from tests.support.project import Project, Server

pytestmark = [
    pytest.mark.generated,
    pytest.mark.long,  # who shares its processors makes it fail
    pytest.mark.skipif(sys.platform != "linux", reason="needs addresses of the loopback"),
]
USERS = int(os.environ.get("ABUSE_USERS", "30"))
SECONDS = int(os.environ.get("ABUSE_SECONDS", "40"))
SERVING = "/serving-endpoints"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Yield a workspace with a database."""
    with open_workspace(tmp_path_factory.mktemp("workspace")) as workspace:
        yield workspace


@pytest.fixture(scope="module")
def server(agent: Project, workspace: Workspace) -> Iterator[Server]:
    """Yield a server on that workspace."""
    with serve(agent, workspace) as server:
        yield server.until_ready()


async def fail_in_turn(workspace: Workspace) -> None:
    """Take away the model, the database and all tokens, each for a while."""
    await asyncio.sleep(SECONDS / 4)
    workspace.faults.broken(SERVING)
    await asyncio.sleep(SECONDS / 20)
    workspace.faults.clear()
    await asyncio.sleep(SECONDS / 10)
    await asyncio.to_thread(workspace.database.restart, "immediate")
    await asyncio.sleep(SECONDS / 10)
    workspace.identities.expire()
    workspace.database.drop()


def test_a_crowd_loses_nothing_and_never_meets(server: Server, workspace: Workspace) -> None:
    crowd = Crowd(f"http://127.0.0.1:{server.port}", USERS)
    asyncio.run(crowd.live(SECONDS / 5, asyncio.sleep(0)))  # until it is warm
    idle = memory_of(server)
    began = time.monotonic()
    asyncio.run(crowd.live(SECONDS, fail_in_turn(workspace)))
    assert [name for member in crowd.members for name in member.crossed()] == []
    assert [answer for member in crowd.members for answer in member.untrue()] == []
    assert [error for member in crowd.members for error in member.broken] == []
    recovered = crowd.answers(since=began + 0.8 * SECONDS)
    assert recovered and {answer.status for answer in recovered} == {200}
    assert asyncio.run(crowd.lost()) == []
    assert_memory_returns(server, idle)
