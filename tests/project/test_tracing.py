"""Tracing of a generated project: what reaches MLflow, and that no turn waits for it."""

import json
import signal
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE
from typing import Any

import httpx
import pytest

from tests.standins.mlflow import StandinMlflow, open_standin_mlflow
from tests.standins.model import StandinModel, open_standin_model
from tests.support.project import Project, Server

pytestmark = pytest.mark.generated
# For what comes before a framework's own tracing.
once = pytest.mark.parametrize("project", ["langgraph"], indirect=True)
EXPERIMENT = "7"
# What an owner traces in a tool, and notes of the turn.
TRACED = """

def look_up(zone: str) -> None:
    import mlflow

    with mlflow.start_span("looked up"):
        mlflow.update_current_trace(tags={"zone": zone})
"""
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
    """Yield a running server that traces to `mlflow`, as do its owner's tools."""
    tools = project.folder / "agent_server" / "tools.py"
    before = tools.read_text()
    tools.write_text(before.replace("    try:\n", "    look_up(timezone)\n    try:\n", 1) + TRACED)
    try:
        with Server(project, **variables, MLFLOW_TRACKING_URI=mlflow.url) as server:
            yield server.until_ready()
    finally:
        tools.write_text(before)


@pytest.fixture(autouse=True)
def healthy(model: StandinModel, mlflow: StandinMlflow) -> None:
    """Let every test start with a model and an MLflow that work."""
    model.delay, mlflow.status, mlflow.delay, mlflow.forgetful = 0, 200, 0, False
    mlflow.assessments.clear()


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


def test_a_trace_names_its_thread_and_its_user_and_the_response_names_the_trace(
    server: Server, mlflow: StandinMlflow
) -> None:
    response = server.post("dulcimer", "music", "grace").json()
    _until(lambda: mlflow.about("dulcimer"))
    [trace] = mlflow.about("dulcimer")
    about = trace.info["trace_metadata"]
    assert about["mlflow.trace.session"] == "music" and about["mlflow.trace.user"] == "grace"
    assert response["custom_outputs"]["trace_id"] == trace.info["trace_id"]


def test_a_call_of_a_model_has_what_is_new_in_its_prompt_and_its_tokens(
    server: Server, mlflow: StandinMlflow
) -> None:
    server.ask("spinet", "strings")
    server.ask("virginal", "strings")
    _until(lambda: mlflow.about("virginal"))
    span = mlflow.about("virginal")[0].span("CHAT_MODEL")["attributes"]
    assert "virginal" in span["mlflow.spanInputs"] and "spinet" not in span["mlflow.spanInputs"]
    assert json.loads(span["mlflow.chat.tokenUsage"])["output_tokens"] > 0


@once
def test_the_whole_prompt_is_traced_if_the_owner_wants_it(
    project: Project, variables: dict[str, str], mlflow: StandinMlflow
) -> None:
    whole = {"MLFLOW_TRACKING_URI": mlflow.url, "TRACE_PROMPTS": "true"}
    with Server(project, **variables, **whole) as server:
        server.until_ready().ask("lute", "old")
        server.ask("theorbo", "old")
        _until(lambda: mlflow.about("theorbo"))
    span = mlflow.about("theorbo")[0].span("CHAT_MODEL")["attributes"]
    assert "lute" in span["mlflow.spanInputs"] and "system" in span["mlflow.spanInputs"]


def test_what_the_owner_traces_in_a_tool_is_inside_the_call_of_that_tool(
    server: Server, mlflow: StandinMlflow
) -> None:
    response = server.post("What time is it?").json()
    trace_id = response["custom_outputs"]["trace_id"]
    _until(lambda: [t for t in mlflow.traces if t.info["trace_id"] == trace_id])
    [trace] = [t for t in mlflow.traces if t.info["trace_id"] == trace_id]
    [own] = [span for span in trace.spans if span["name"] == "looked up"]
    assert own["parent_span_id"] == trace.span("TOOL")["span_id"]
    assert trace.info["tags"]["zone"]


def test_a_turn_whose_reader_leaves_is_traced(
    server: Server, mlflow: StandinMlflow, model: StandinModel
) -> None:
    model.delay = 5
    with pytest.raises(httpx.TimeoutException):
        server.http.post("/responses", json={"input": "hurdy-gurdy"}, timeout=1)
    _until(lambda: mlflow.about("hurdy-gurdy"))


def test_every_turn_is_traced_once_and_in_order_while_mlflow_is_slow(
    server: Server, mlflow: StandinMlflow
) -> None:
    mlflow.delay = 1
    asked = [f"slow harp {number}" for number in range(6)]
    for question in asked:
        server.ask(question, "slow")
    _until(lambda: len(mlflow.about("slow harp")) >= len(asked))
    assert mlflow.asked("slow harp") == asked


def test_every_turn_is_traced_once_and_in_order_after_mlflow_was_away(
    server: Server, mlflow: StandinMlflow
) -> None:
    mlflow.status = 503
    asked, before = [f"lost harp {number}" for number in range(6)], len(mlflow.paths)
    for question in asked:
        server.ask(question, "away")
    _until(lambda: len(mlflow.paths) > before)
    mlflow.status = 200
    _until(lambda: len(mlflow.about("lost harp")) >= len(asked))
    assert mlflow.asked("lost harp") == asked


@once
def test_what_a_user_thinks_of_an_answer_is_an_assessment_of_its_trace(
    server: Server, mlflow: StandinMlflow
) -> None:
    answer = _traced_answer(server, mlflow, "shawm")
    assert _judge(server, answer, True, user="eve") == 404
    assert _judge(server, answer, False, "Too loud.") == 204
    _until(lambda: mlflow.assessments)
    [one], [trace] = mlflow.assessments.values(), mlflow.about("shawm")
    assert one["trace_id"] == trace.info["trace_id"]
    assert one["source"] == {"source_type": "HUMAN", "source_id": "ada"}
    assert (one["feedback"]["value"], one["rationale"]) == (False, "Too loud.")


@once
def test_an_assessment_changes_with_its_user_and_goes_when_they_take_it_back(
    server: Server, mlflow: StandinMlflow
) -> None:
    answer = _traced_answer(server, mlflow, "crumhorn")
    for value, expected in ((True, [True]), (False, [False]), (None, []), (True, [True])):
        _judge(server, answer, value)
        _until(partial(_shows, mlflow, expected))


@once
def test_feedback_waits_for_an_mlflow_that_refuses_and_says_so(
    server: Server, mlflow: StandinMlflow
) -> None:
    answer = _traced_answer(server, mlflow, "racket")
    mlflow.status = 403
    assert _judge(server, answer, False) == 204
    _until(lambda: "MLflow did not take a user's feedback" in server.log)
    assert not _listed(server)[0]["sent"]
    mlflow.status = 200
    _until(lambda: _values(mlflow) == [False] and _listed(server)[0]["sent"])


@once
def test_an_assessment_is_not_doubled_when_mlflow_kept_it_and_said_it_did_not(
    server: Server, mlflow: StandinMlflow
) -> None:
    answer = _traced_answer(server, mlflow, "serpent")
    mlflow.forgetful = True
    _judge(server, answer, True)
    _until(lambda: mlflow.assessments)
    mlflow.forgetful = False
    _judge(server, answer, False)
    _until(lambda: _listed(server)[0]["sent"])
    assert _values(mlflow) == [False]


def test_two_turns_at_once_are_two_traces(
    server: Server, mlflow: StandinMlflow, model: StandinModel
) -> None:
    model.delay = 1
    with ThreadPoolExecutor() as pool:
        pool.submit(server.ask, "bassoon", user="one@example.com")
        pool.submit(server.ask, "clarinet", user="other@example.com")
        _until(lambda: model.running == 2)
    _until(lambda: mlflow.about("bassoon") and mlflow.about("clarinet"))
    [one], [other] = mlflow.about("bassoon"), mlflow.about("clarinet")
    assert "CHAT_MODEL" in one.kinds and "CHAT_MODEL" in other.kinds
    assert "other@" not in one.text and "clarinet" not in one.text
    assert "one@" not in other.text and "bassoon" not in other.text


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
            answer = _answer(server.until_ready(), "hello")
            assert _judge(server, answer, False) == 204 and not _listed(server)[0]["sent"]
            server.stop(signal.SIGINT)  # after which MLflow sends what it still holds
        assert mlflow.paths == []


@once
def test_disliked_answers_in_mlflow_become_cases_once(
    server: Server, project: Project, mlflow: StandinMlflow
) -> None:
    first = _traced_answer(server, mlflow, "ocarina")
    _judge(server, first, False, 'Not "that"\none.')
    _judge(server, _traced_answer(server, mlflow, "panpipes"), True)
    _until(lambda: sorted(_values(mlflow)) == [False, True])
    with _own_cases(project) as (file, before):
        variables = {"MLFLOW_EXPERIMENT_ID": EXPERIMENT, "MLFLOW_TRACKING_URI": mlflow.url}
        assert "1 of 1 disliked" in _grow(project, variables)
        [case] = tomllib.loads(file.read_text())["case"][1:]
        assert case["questions"] == ["ocarina"] and case["todo"]
        assert file.read_text().startswith(before) and 'Not "that" one.' in file.read_text()
        assert "already" in _grow(project, variables)


@once
def test_disliked_answers_in_the_database_become_cases_with_what_was_asked_before(
    server: Server, project: Project, variables: dict[str, str]
) -> None:
    untraced = {**variables, "MLFLOW_EXPERIMENT_ID": ""}
    chat = _chat(server, "Hello")
    _judge(server, _answer(server, "/call none", chat), False)
    with _own_cases(project) as (file, _):
        assert "disliked answers of the database" in _grow(project, untraced)
        grown = file.read_text()
        assert ["Hello", "/call none"] in [c["questions"] for c in tomllib.loads(grown)["case"]]
        _grow(project, untraced)
        assert file.read_text() == grown


@once
def test_a_file_of_cases_that_can_take_none_stays_as_it_is(
    project: Project, variables: dict[str, str]
) -> None:
    with _own_cases(project) as (file, _):
        file.write_text("case = [{name = 1}]\n[[")
        growing = project.start("python", "-m", "evals.grow", variables=variables, stderr=PIPE)
        assert "is as it was" in growing.communicate()[1] and growing.returncode == 2
        assert file.read_text() == "case = [{name = 1}]\n[["


@contextmanager
def _own_cases(project: Project) -> Iterator[tuple[Path, str]]:
    """Yield a file of cases in which its owner has written, and its text."""
    file = project.folder / "evals" / "cases.toml"
    before, own = file.read_text(), '# Mine.\n[[case]]  # one\nname = "own"\nquestions = ["Hi"]\n'
    file.write_text(own + 'expected = "o"')
    try:
        yield file, file.read_text()
    finally:
        file.write_text(before)


def _grow(project: Project, variables: dict[str, str]) -> str:
    growing = project.start("python", "-m", "evals.grow", variables=variables, stdout=PIPE)
    said = growing.communicate()[0]
    assert growing.returncode == 0
    return str(said)


def _chat(server: Server, question: str, chat: str = "") -> str:
    """Ask in a chat, and return its id."""
    body = {"message": question, **({"chatId": chat} if chat else {})}
    headers = {"X-Forwarded-User": "ada"}
    return str(server.http.post("/api/chat", json=body, headers=headers).headers["x-chat-id"])


def _answer(server: Server, question: str, chat: str = "") -> str:
    """Ask in a chat, and return the id of the answer."""
    headers = {"X-Forwarded-User": "ada"}
    path = f"/api/chats/{_chat(server, question, chat)}/messages"
    return str(server.http.get(path, headers=headers).json()[-1]["id"])


def _traced_answer(server: Server, mlflow: StandinMlflow, question: str) -> str:
    """Return the id of an answer whose trace has arrived."""
    answer = _answer(server, question)
    _until(lambda: mlflow.about(question))
    return answer


def _judge(
    server: Server, answer: str, value: bool | None, comment: str = "", user: str = "ada"
) -> int:
    body = {"message_id": answer, "value": value, "comment": comment}
    headers = {"X-Forwarded-User": user}
    return server.http.post("/api/feedback", json=body, headers=headers).status_code


def _listed(server: Server) -> list[Any]:
    headers = {"X-Forwarded-User": "ada"}
    return list(server.http.get("/api/feedback", headers=headers).json())


def _shows(mlflow: StandinMlflow, values: list[bool]) -> bool:
    return _values(mlflow) == values


def _values(mlflow: StandinMlflow) -> list[bool]:
    """Return what people think, as MLflow has it."""
    return [one["feedback"]["value"] for one in mlflow.assessments.values()]


def _ask_promptly(server: Server) -> None:
    started = time.monotonic()
    assert server.ask("hello")
    assert time.monotonic() - started < PROMPT_SECONDS


def _until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
