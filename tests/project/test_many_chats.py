"""A user with a thousand chats: what is asked of Postgres for the page, and how it finds it.

How long that takes is measured in `benchmarks/chats.py`.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psycopg
import pytest

from benchmarks.chats import BUDGET_STATEMENTS, CHATS, SCHEMA, USER, fill, get, paths
from benchmarks.wire import CHECK, Traffic, open_wire
from tests.conftest import Renders
from tests.support.project import Server, install
from tests.support.rendering import Combination

pytestmark = pytest.mark.generated
USERS = [USER, *(f"user{n}@example.com" for n in range(4))]


@dataclass(frozen=True)
class Crowded:
    """A server whose users have many chats, and what it says to Postgres."""

    http: HTTPConnection
    traffic: Traffic
    url: str

    def spent(self, path: str) -> list[str]:
        """Return the statements of a request."""
        before = self.traffic.copy()
        get(self.http, path)
        return list((self.traffic - before).statements.elements())

    def plan(self, statement: str) -> str:
        """Return how Postgres finds the rows, whatever the values are."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"SET search_path = {SCHEMA}")
            # As bytes, and by the simple protocol: its parameters have no values.
            rows = connection.execute(f"EXPLAIN (GENERIC_PLAN) {statement}".encode())
            return "\n".join(line for (line,) in rows)


@pytest.fixture(scope="module")
def crowded(renders: Renders, environments: Path) -> Iterator[Crowded]:
    """Yield a server with five users of a thousand chats each."""
    project = install(renders[Combination("openai", ("chat",), "local")], environments / "openai")
    with project.open_database() as url:
        port = int(url.rsplit(":", 1)[1].split("/")[0])
        with open_wire(port) as (way, traffic):
            place = {"DATABASE_URL": url.replace(f":{port}/", f":{way}/")}
            with Server(project, LAKEBASE_AGENT_MEMORY_SCHEMA=SCHEMA, **place) as server:
                server.until_ready()
                fill(url, SCHEMA, USERS, messages=10)
                with closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as http:
                    yield Crowded(http, traffic, url)


@pytest.fixture
def requests(crowded: Crowded) -> dict[str, str]:
    """Return a request of each kind."""
    chats: list[dict[str, Any]] = get(crowded.http, "/api/chats?limit=1")
    return {kind: some[0] for kind, some in paths(chats).items()}


def test_exactly_the_users_own_chats_are_listed(crowded: Crowded) -> None:
    listed, path = [], "/api/chats?limit=200"
    while page := get(crowded.http, path):
        listed += [chat["id"] for chat in page]
        mark = page[-1]["updated_at"].replace("+", "%2B")
        path = f"/api/chats?limit=200&before={mark}&before_id={page[-1]['id']}"
    assert len(listed) == len(set(listed)) == CHATS


def test_a_request_costs_one_statement_and_its_connection_check(
    crowded: Crowded, requests: dict[str, str]
) -> None:
    for kind, path in requests.items():
        said = crowded.spent(path)
        assert len(said) - said.count(CHECK) == 1, f"{kind}\n{said}"
        assert len(said) <= BUDGET_STATEMENTS, f"{kind}\n{said}"


def test_no_request_scans_a_whole_table(crowded: Crowded, requests: dict[str, str]) -> None:
    for kind, path in requests.items():
        [statement] = set(crowded.spent(path)) - {CHECK}
        plan = crowded.plan(statement)
        assert "Seq Scan" not in plan, f"{kind}\n{plan}"
        assert "idx_chats_user_updated" in plan or "idx_messages_chat_created" in plan


def test_a_search_asks_the_index_of_words_and_reads_no_text_of_others(
    crowded: Crowded, requests: dict[str, str]
) -> None:
    [statement] = set(crowded.spent(requests["search, some match"])) - {CHECK}
    plan = crowded.plan(statement)
    assert "Bitmap Index Scan on idx_messages_words" in plan and "BitmapAnd" in plan, plan
