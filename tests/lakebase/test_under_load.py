"""Many users on Lakebase for a while, through what happens to its tokens and its database."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product

import httpx
import pytest

from tests.conftest import Projects
from tests.standins.workspace import LakebaseDatabase, Workspace, open_workspace
from tests.support.on_lakebase import serve
from tests.support.project import Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs addresses of the loopback"),
]
USERS, TOKEN_SECONDS = 8, 5
ROUNDS, ROUND_SECONDS = 6, 6
NOTICE_SECONDS = 5
SAID = "What did I say?"
# For what no framework has a part in: the pool, its tokens, and a restart that lets turns end.
once = pytest.mark.parametrize("server", ["langgraph"], indirect=True)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Yield a workspace with a database."""
    with open_workspace(tmp_path_factory.mktemp("workspace")) as workspace:
        yield workspace


@pytest.fixture(scope="module", params=["langgraph", "openai"])
def server(
    request: pytest.FixtureRequest, projects: Projects, workspace: Workspace
) -> Iterator[Server]:
    """Yield a running server of each framework, whose database passwords are soon too old."""
    workspace.identities.credential_seconds = TOKEN_SECONDS
    with serve(projects(request.param), workspace) as server:
        yield server.until_ready()


@dataclass(frozen=True)
class Answer:
    """What came back, and between which moments."""

    began: float
    ended: float
    response: httpx.Response

    @property
    def ok(self) -> bool:
        """True when it worked."""
        return self.response.status_code == 200

    def touches(self, outage: tuple[float, float]) -> bool:
        """True when some of it was in the outage."""
        return self.began < outage[1] and self.ended > outage[0]

    def within(self, outage: tuple[float, float]) -> bool:
        """True when all of it was in the outage."""
        return outage[0] < self.began and self.ended < outage[1]


@dataclass
class Crowd:
    """Users who each talk in a thread of their own, and send again what was not answered."""

    server: Server
    name: str
    stopped: threading.Event = field(default_factory=threading.Event)
    answers: list[Answer] = field(default_factory=list)
    readiness: list[Answer] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=lambda: [0] * USERS)

    def talk(self, user: int) -> None:
        """Say one number after the other."""
        while not self.stopped.is_set():
            self.say(user)

    def say(self, user: int) -> None:
        """Say the user's next number, or the last one again."""
        text = f"number{self.acknowledged[user]}."
        answer = _timed(lambda: self.server.post(text, self.name, f"{self.name}{user}"))
        self.answers.append(answer)
        self.acknowledged[user] += answer.ok

    def watch(self) -> None:
        """Ask /ready again and again."""
        while not self.stopped.is_set():
            self.readiness.append(_timed(lambda: self.server.http.get("/ready")))

    def forgotten(self) -> list[str]:
        """Return what was acknowledged and is not in the threads."""
        lost = []
        for user, count in enumerate(self.acknowledged):
            said = self.server.ask(SAID, self.name, f"{self.name}{user}")
            lost += [f"{user}: {n}" for n in range(count) if f"number{n}." not in said]
        return lost


@contextmanager
def talking(server: Server, name: str) -> Iterator[Crowd]:
    """Yield users who talk while the body runs."""
    crowd = Crowd(server, name)
    with ThreadPoolExecutor(USERS + 1) as pool:
        tasks = [pool.submit(crowd.talk, user) for user in range(USERS)]
        tasks.append(pool.submit(crowd.watch))
        try:
            yield crowd
        finally:
            crowd.stopped.set()
    for task in tasks:
        task.result()


@once
def test_no_turn_fails_when_tokens_live_for_seconds(server: Server, workspace: Workspace) -> None:
    crowd, database = Crowd(server, "tokens"), workspace.database
    before = len(database.logins)
    # Between the rounds every connection breaks, so that each round needs tokens of its own.
    quiet = threading.Barrier(USERS, action=database.drop)
    with ThreadPoolExecutor(USERS) as pool:
        list(pool.map(lambda user: _say_in_rounds(crowd, user, quiet), range(USERS)))
    assert [answer.response.text for answer in crowd.answers if not answer.ok] == []
    assert crowd.forgotten() == []
    assert database.refused == [] and len(database.logins) - before > ROUNDS


@pytest.mark.parametrize(
    ("server", "how"),
    [
        pytest.param("langgraph", "fast", marks=pytest.mark.long),
        *product(("langgraph", "openai"), ("immediate", "away")),
    ],
    indirect=["server"],
)
def test_a_database_outage_loses_nothing_and_is_reported_accurately(
    server: Server, workspace: Workspace, how: str
) -> None:
    with talking(server, how) as crowd:
        time.sleep(5)
        began = time.monotonic()
        _break(workspace.database, how)
        outage = began, time.monotonic()
        time.sleep(15)
    _check_answers(crowd, outage)
    if how == "away":  # a restart may be too short for anyone to notice
        assert {a.ok for a in crowd.readiness if a.within(outage)} == {False}
    assert crowd.forgotten() == []


def _check_answers(crowd: Crowd, outage: tuple[float, float]) -> None:
    # Whoever waits for a connection gets the next one; /ready does not wait.
    noticed = outage[0], outage[1] + NOTICE_SECONDS
    assert [a.response.text for a in crowd.answers if not (a.ok or a.touches(outage))] == []
    assert [a.response.text for a in crowd.readiness if not (a.ok or a.touches(noticed))] == []
    failed = [answer for answer in [*crowd.answers, *crowd.readiness] if not answer.ok]
    assert {a.response.status_code for a in failed} <= {503}
    assert all(a.response.headers["retry-after"] for a in failed)


def _say_in_rounds(crowd: Crowd, user: int, quiet: threading.Barrier) -> None:
    for _ in range(ROUNDS):
        end = time.monotonic() + ROUND_SECONDS
        while time.monotonic() < end:
            crowd.say(user)
        quiet.wait()


def _timed(ask: Callable[[], httpx.Response]) -> Answer:
    began = time.monotonic()
    response = ask()
    return Answer(began, time.monotonic(), response)


def _break(database: LakebaseDatabase, how: str) -> None:
    if how == "away":
        with database.away():
            time.sleep(15)  # longer than anything in the server waits
    else:
        database.restart("fast" if how == "fast" else "immediate")
