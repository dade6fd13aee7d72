"""Tracing of a generated project: what reaches MLflow, and that no turn waits for it."""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.standins.mlflow import StandinMlflow, open_standin_mlflow
from tests.standins.model import StandinModel, open_standin_model
from tests.support.project import Project, Server

pytestmark = pytest.mark.generated
# For what comes before a framework's own tracing.
once = pytest.mark.parametrize("project", ["langgraph"], indirect=True)
EXPERIMENT = "7"
FAILED = "Failed to send trace"
PROMPT_SECONDS, STOP_SECONDS = 5, 10
# Without an address MLflow means Databricks: not the workspace of whoever runs the tests.
NOWHERE = {
    "no address": {"DATABRICKS_CONFIG_FILE": "none"},
    "a closed port": {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"},
}


@pytest.fixture(scope="module")
def model() -> Iterator[StandinModel]:
    """Yield a model that a test can slow down."""
    with open_standin_model() as model:
        yield model


@pytest.fixture(scope="module")
def variables(project: Project, model: StandinModel) -> Iterator[dict[str, str]]:
    """Yield what makes a server trace, though not where to."""
    with project.open_database() as url:
        yield {
            "DATABASE_URL": url,
            "OPENAI_BASE_URL": model.url,
            "OPENAI_API_KEY": "none",
            "MLFLOW_EXPERIMENT_ID": EXPERIMENT,
            # Spans are sent this often; by default every five seconds.
            "MLFLOW_ASYNC_TRACE_LOGGING_MAX_INTERVAL_MILLIS": "100",
        }


@pytest.fixture(scope="module")
def mlflow(project: Project) -> Iterator[StandinMlflow]:
    """Yield the MLflow of the `server` of `project`, and of no other."""
    with open_standin_mlflow() as mlflow:
        yield mlflow


@pytest.fixture(scope="module")
def server(project: Project, variables: dict[str, str], mlflow: StandinMlflow) -> Iterator[Server]:
    """Yield a running server that traces to `mlflow`."""
    with Server(project, **variables, MLFLOW_TRACKING_URI=mlflow.url) as server:
        yield server.until_ready()


@pytest.fixture(autouse=True)
def healthy(model: StandinModel, mlflow: StandinMlflow) -> None:
    """Let every test start with a model and an MLflow that work."""
    model.delay, mlflow.status = 0, 200


def test_a_turn_is_one_trace_of_the_experiment_with_its_calls(
    server: Server, mlflow: StandinMlflow
) -> None:
    server.ask("Remember that I play the xylophone")
    server.ask("zither")
    _until(lambda: mlflow.about("zither"))
    [trace] = mlflow.about("xylophone")
    assert trace.experiment == EXPERIMENT
    assert {"CHAT_MODEL", "TOOL"} <= set(trace.kinds)


def test_an_embedding_outside_a_turn_is_not_traced(server: Server, mlflow: StandinMlflow) -> None:
    server.ask("marimba")
    _until(lambda: mlflow.about("marimba"))
    assert all("CHAT_MODEL" in trace.kinds for trace in mlflow.traces)


def test_two_turns_at_once_are_two_traces(
    server: Server, mlflow: StandinMlflow, model: StandinModel
) -> None:
    model.delay = 1
    with ThreadPoolExecutor() as pool:
        pool.submit(server.ask, "bassoon", user="ada")
        pool.submit(server.ask, "clarinet", user="eve")
        _until(lambda: model.running == 2)
    _until(lambda: mlflow.about("bassoon") and mlflow.about("clarinet"))
    [one], [other] = mlflow.about("bassoon"), mlflow.about("clarinet")
    assert one is not other
    assert "CHAT_MODEL" in one.kinds and "CHAT_MODEL" in other.kinds


def test_a_failing_mlflow_delays_no_turn(server: Server, mlflow: StandinMlflow) -> None:
    mlflow.status = 500
    asked = len(mlflow.paths)
    _ask_promptly(server)
    _until(lambda: len(mlflow.paths) > asked)
    _ask_promptly(server)


def test_a_hanging_mlflow_delays_neither_the_start_nor_a_turn(
    project: Project, variables: dict[str, str]
) -> None:
    with open_standin_mlflow() as mlflow:
        mlflow.delay = 30
        with Server(project, **variables, MLFLOW_TRACKING_URI=mlflow.url) as server:
            server.until_ready()
            assert not mlflow.paths
            _ask_promptly(server)
            _until(lambda: mlflow.paths)
            _ask_promptly(server)


@pytest.mark.parametrize("where", NOWHERE)
def test_an_unreachable_mlflow_is_logged_once_and_turns_continue(
    project: Project, variables: dict[str, str], where: str
) -> None:
    with Server(project, **variables, **NOWHERE[where]) as server:
        _ask_promptly(server.until_ready())
        _until(lambda: FAILED in server.log)
        _ask_promptly(server)
        _ask_promptly(server)
        server.stop(signal.SIGINT)  # after which MLflow sends what it still holds
    assert server.log.count(FAILED) == 1
    assert "urllib3" not in server.log and server.log.count("SDK workspace client") <= 1


@once
@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "./mlruns", "htp://here"])
def test_an_invalid_address_is_logged_once_and_turns_continue(
    project: Project, variables: dict[str, str], uri: str
) -> None:
    with Server(project, **variables, MLFLOW_TRACKING_URI=uri) as server:
        _ask_promptly(server.until_ready())
        server.stop(signal.SIGINT)
    assert server.log.count("MLFLOW_TRACKING_URI") == 1
    assert "Traceback" not in server.log


def test_a_stopping_server_sends_its_remaining_traces(
    project: Project, variables: dict[str, str]
) -> None:
    late = {**variables, "MLFLOW_ASYNC_TRACE_LOGGING_MAX_INTERVAL_MILLIS": "60000"}
    with open_standin_mlflow() as mlflow:
        with Server(project, **late, MLFLOW_TRACKING_URI=mlflow.url) as server:
            server.until_ready().ask("oboe")
            assert not mlflow.about("oboe")
            server.stop(signal.SIGTERM)
        assert mlflow.about("oboe")


def test_a_hanging_mlflow_delays_a_stop_by_seconds_at_most(
    project: Project, variables: dict[str, str]
) -> None:
    with open_standin_mlflow() as mlflow:
        mlflow.delay = 30
        with Server(project, **variables, MLFLOW_TRACKING_URI=mlflow.url) as server:
            server.until_ready().ask("tuba")
            started = time.monotonic()
            server.stop(signal.SIGTERM)
    assert time.monotonic() - started < STOP_SECONDS


def test_without_an_experiment_nothing_is_sent(project: Project) -> None:
    with open_standin_mlflow() as mlflow:
        with Server(project, MLFLOW_TRACKING_URI=mlflow.url) as server:
            server.until_ready().ask("hello")
            server.stop(signal.SIGINT)  # after which MLflow sends what it still holds
        assert mlflow.paths == []


def _ask_promptly(server: Server) -> None:
    started = time.monotonic()
    assert server.ask("hello")
    assert time.monotonic() - started < PROMPT_SECONDS


def _until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
