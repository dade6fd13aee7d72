"""How long a server takes to start, and how much time its turns cost the processor and us."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection, HTTPException
from statistics import median
from tempfile import NamedTemporaryFile
from typing import NamedTuple

import psutil

from benchmarks.client import PLAIN, TOOL, new_thread, open_client
from benchmarks.projects import Variables, report
from tests.standins.mlflow import StandinMlflow
from tests.standins.workspace import open_workspace
from tests.support.project import Project, Server

CLIENTS = 8
QUIET_SECONDS = 6  # MLflow sends what it has collected every five seconds, or sooner


class Start(NamedTuple):
    """The seconds from the command to the first answer of each kind."""

    health: float
    ready: float


class Cost(NamedTuple):
    """What one turn takes, in milliseconds."""

    cpu: float
    wall: float


class Turns(NamedTuple):
    """What is measured: turns like `question`, in threads that hold `history` turns on average."""

    title: str
    history: int
    question: str = PLAIN
    stream: bool = False


MEASURED = (
    Turns("10 turns of history", 10),
    Turns("100 turns of history", 100),
    Turns("10 turns, streamed", 10, stream=True),
    Turns("10 turns, each calls a tool", 10, TOOL),
)


def measure_starts(project: Project, variables: Variables, rounds: int) -> dict[str, str]:
    """Return how long a start takes whose packages are compiled and whose tables are there."""
    report("starting, the first time")
    with open_server(project, variables):
        pass
    report("starting again")
    starts = [measure_start(project, variables) for _ in range(rounds)]
    return {
        "start to /health, s": spread([start.health for start in starts]),
        "start to /ready, s": spread([start.ready for start in starts]),
    }


def measure_start(project: Project, variables: Variables) -> Start:
    """Start a server, and stop it again."""
    begin = time.monotonic()
    with Server(project, **variables) as server:
        health = _until_ok(server, "/health")
        return Start(health - begin, _until_ok(server, "/ready") - begin)


def _until_ok(server: Server, path: str) -> float:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if _is_ok(server.port, path):
            return time.monotonic()
        time.sleep(0.02)
    raise TimeoutError(f"{path} did not answer:\n{server.log}")


def _is_ok(port: int, path: str) -> bool:
    http = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        http.request("GET", path)
        return http.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        http.close()


@contextmanager
def open_server(project: Project, variables: Variables) -> Iterator[Server]:
    """Yield a server that is ready, and has done what only its first turns need."""
    with Server(project, **variables) as server, open_client(server.port) as client:
        server.until_ready()
        for stream in (False, True):
            client.turns(new_thread(), 20, stream=stream)
        yield server


def measure_turns(server: Server, turns: int, rounds: int) -> dict[str, str]:
    """Return what turns cost: one at a time, of several kinds, and many at a time."""
    rows = {}
    for kind in MEASURED:
        report(f"{rounds} x {turns} turns: {kind.title}")
        costs = [_cost(server, kind, turns) for _ in range(rounds)]
        rows[f"CPU a turn, {kind.title}, ms"] = spread([cost.cpu for cost in costs])
        rows[f"time a turn, {kind.title}, ms"] = spread([cost.wall for cost in costs])
    report(f"{rounds} x {turns} turns, {CLIENTS} at a time")
    seconds = [_at_once(server, turns // CLIENTS) for _ in range(rounds)]
    rates = [turns // CLIENTS * CLIENTS / each for each in seconds]
    rows[f"turns/s, {CLIENTS} at a time"] = f"{max(rates):.0f} ({median(rates):.0f})"
    return rows


def measure_traced(
    project: Project, variables: Variables, turns: int, rounds: int
) -> dict[str, str]:
    """Return what turns cost when each is traced; what is sent after a turn belongs to it.

    Only the traces go to a workspace, by a profile of its own: to any other server MLflow sends
    each span twice.
    """
    rows = {}
    with open_workspace() as workspace, NamedTemporaryFile("w") as profiles:
        profiles.write(f"[bench]\nhost = {workspace.url}\ntoken = {workspace.token}\n")
        profiles.flush()
        mlflow = workspace.mlflow
        place = {"MLFLOW_EXPERIMENT_ID": "1", "MLFLOW_TRACKING_URI": "databricks://bench"}
        place["DATABRICKS_CONFIG_FILE"] = profiles.name
        with open_server(project, {**variables, **place}) as server:
            for kind in MEASURED[:2]:
                report(f"{rounds} x {turns} turns, traced: {kind.title}")
                settle = partial(_settle, mlflow)
                costs = [_cost(server, kind, turns, settle).cpu for _ in range(rounds)]
                rows[f"CPU a turn, {kind.title}, traced, ms"] = spread(costs)
        assert mlflow.traces, "no trace arrived"
    return rows


def _settle(mlflow: StandinMlflow) -> None:
    """Return when no trace has arrived for longer than MLflow collects them."""
    seen = -1
    while len(mlflow.traces) > seen:
        seen = len(mlflow.traces)
        time.sleep(QUIET_SECONDS)


def _cost(
    server: Server, kind: Turns, turns: int, settle: Callable[[], None] = lambda: None
) -> Cost:
    # Each thread grows from half its length to one and a half of it while it is measured.
    threads = [new_thread() for _ in range(max(1, turns // kind.history))]
    with open_client(server.port) as client:
        for thread in threads:
            client.turns(thread, kind.history // 2)
    settle()
    with open_client(server.port) as client:
        cpu, begin = _cpu_seconds(server), time.monotonic()
        for thread in threads:
            client.turns(thread, kind.history, kind.question, kind.stream)
        wall = time.monotonic() - begin
    settle()
    count = len(threads) * kind.history / 1000
    return Cost((_cpu_seconds(server) - cpu) / count, wall / count)


def _cpu_seconds(server: Server) -> float:
    main = psutil.Process(server.process.pid)
    times = [process.cpu_times() for process in (main, *main.children(recursive=True))]
    return sum(spent.user + spent.system for spent in times)


def _at_once(server: Server, turns: int) -> float:
    with ThreadPoolExecutor(CLIENTS) as pool:
        begin = time.monotonic()
        list(pool.map(lambda _: _talk(server, turns), range(CLIENTS)))
        return time.monotonic() - begin


def _talk(server: Server, turns: int) -> None:
    with open_client(server.port) as client:
        client.turns(new_thread(), turns)


def spread(values: Sequence[float]) -> str:
    """Return the least of `values`, and their median."""
    return f"{min(values):.1f} ({median(values):.1f})"
