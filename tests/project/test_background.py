"""Background responses, through kills, restarts, two processes and many readers."""

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from benchmarks.wire import open_wire
from tests.standins.model import StandinModel, open_standin_model
from tests.support.background_project import (
    TERMINAL,
    Reader,
    assert_whole,
    begin,
    make_project,
    read,
)
from tests.support.project import Project, Server, text_of
from tests.support.rendering import REPOSITORY

pytestmark = pytest.mark.generated
SAID = "What did I say?"
Variables = dict[str, str]
# For what no framework has a part in, or what another test shows of both: a turn that is taken up
# again, and one that is cancelled.
once = pytest.mark.parametrize("project", ["langgraph"], indirect=True)


@pytest.fixture(scope="module", params=["langgraph", "openai"])
def project(
    request: pytest.FixtureRequest,
    template: Path,
    environments: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """Return an installed project with background responses."""
    folder = tmp_path_factory.mktemp(request.param) / "project"
    return make_project(template, request.param, folder, environments / request.param)


@pytest.fixture(scope="module")
def model() -> Iterator[StandinModel]:
    """Yield a model whose pace a test chooses."""
    with open_standin_model() as model:
        yield model


@pytest.fixture(scope="module")
def variables(project: Project, model: StandinModel) -> Iterator[Variables]:
    """Yield what makes a server use that model, and a Postgres that outlives it."""
    with project.open_database() as url:
        yield {"DATABASE_URL": url, "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}


@pytest.fixture(scope="module")
def server(project: Project, variables: Variables) -> Iterator[Server]:
    """Yield a running server."""
    with Server(project, **variables) as server:
        yield server.until_ready()


@pytest.fixture(scope="module")
def other(project: Project, variables: Variables) -> Iterator[Server]:
    """Yield another server of the same app."""
    with Server(project, **variables) as server:
        yield server.until_ready()


@pytest.fixture
def thread() -> str:
    """Return a thread that nobody used."""
    return uuid4().hex


@pytest.fixture
def pace(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return what sets how many milliseconds a token takes."""
    return lambda ms: monkeypatch.setenv("LOCAL_MODEL_DELAY_MS", str(ms))


def test_a_run_killed_in_the_middle_of_text_is_finished_after_a_restart(
    project: Project, variables: Variables, thread: str, pace: Callable[[int], None]
) -> None:
    pace(30)
    with Server(project, **variables) as server:
        response_id = begin(server.until_ready(), "/repeat 60", thread)
        seen = Reader(server, response_id)
        _until(lambda: "word20" in seen.text)
        server.stop(signal.SIGKILL)
    with Server(project, **variables) as server:
        rest = Reader(server.until_ready(), response_id, seen.wait().numbers[-1]).wait()
        assert_whole(seen.events + rest.events)
        _assert_answered_once(server, response_id, "/repeat 60", "word60", thread)


def test_a_run_killed_in_the_middle_of_a_tool_call_is_finished_after_a_restart(
    project: Project, variables: Variables, thread: str, tmp_path: Path
) -> None:
    question = f'/call slow {{"seconds": 4, "file": "{tmp_path / "calls"}"}}'
    with Server(project, **variables) as server:
        response_id = begin(server.until_ready(), question, thread)
        seen = Reader(server, response_id)
        _until((tmp_path / "calls").exists)
        server.stop(signal.SIGKILL)
    with Server(project, **variables) as server:
        rest = Reader(server.until_ready(), response_id, _last(seen.wait())).wait()
        assert_whole(seen.events + rest.events)
        _assert_answered_once(server, response_id, question, "slept", thread)


def test_a_reader_in_another_process_sees_a_kill_as_a_pause(
    project: Project, variables: Variables, server: Server, thread: str, pace: Callable[[int], None]
) -> None:
    pace(30)
    with Server(project, **variables) as doomed:
        response_id = begin(doomed.until_ready(), "/repeat 60", thread)
        reader = Reader(server, response_id)
        _until(lambda: "word20" in reader.text)
        doomed.stop(signal.SIGKILL)
        assert_whole(reader.wait().events)
    assert reader.done
    _assert_answered_once(server, response_id, "/repeat 60", "word60", thread)


@once
def test_the_next_turn_of_a_thread_waits_until_a_dead_run_of_it_is_finished(
    project: Project, variables: Variables, server: Server, thread: str, pace: Callable[[int], None]
) -> None:
    pace(30)
    with Server(project, **variables) as doomed:
        response_id = begin(doomed.until_ready(), "/repeat 40", thread)
        _until(lambda: text_of(read(doomed, response_id)) != "")
        doomed.stop(signal.SIGKILL)
    pace(0)
    assert server.ask(SAID, thread).count("/repeat 40") == 1
    assert read(server, response_id)["status"] == "completed"


@once
def test_a_turn_does_not_overtake_a_running_response_of_its_thread(
    server: Server, other: Server, thread: str, pace: Callable[[int], None]
) -> None:
    pace(200)
    response_id = begin(server, "/repeat 100", thread)
    assert other.post("hello", thread).status_code == 409
    assert other.post("hello", thread, background=True).status_code == 409
    _cancel(server, response_id)


@once
def test_a_reader_in_another_process_gets_the_same_events(
    server: Server, other: Server, thread: str, pace: Callable[[int], None]
) -> None:
    pace(10)
    response_id = begin(server, "/repeat 100", thread)
    near, far = Reader(server, response_id).wait(), Reader(other, response_id).wait()
    assert near.events == far.events and far.done
    assert_whole(far.events)


@once
def test_a_reader_whose_database_connection_is_dropped_catches_up(
    server: Server, other: Server, thread: str, variables: Variables, pace: Callable[[int], None]
) -> None:
    pace(30)
    response_id = begin(server, "/repeat 100", thread)
    far = Reader(other, response_id)
    _until(lambda: "word10" in far.text)
    assert len(_execute(variables, DROP_LISTENERS)) == 2
    assert_whole(far.wait().events)
    assert text_of(read(other, response_id)).endswith("word100")


@once
@pytest.mark.parametrize("after", [-1, 0, 3, 10, 1000])
def test_a_cursor_is_exact(server: Server, thread: str, after: int) -> None:
    response_id = begin(server, "/repeat 10", thread)
    everything = Reader(server, response_id).wait().events
    again = Reader(server, response_id, after).wait()
    assert again.events == everything[after + 1 :] and again.done


def test_a_cancelled_run_stops_its_model_and_leaves_the_thread_usable(
    server: Server, model: StandinModel, thread: str, pace: Callable[[int], None]
) -> None:
    _assert_cancel_works(server, server, model, thread, pace)


@once
def test_any_process_may_cancel_a_run(
    server: Server,
    other: Server,
    model: StandinModel,
    thread: str,
    pace: Callable[[int], None],
) -> None:
    _assert_cancel_works(server, other, model, thread, pace)


@once
@pytest.mark.parametrize("by", ["server", "other"])
def test_a_running_response_that_is_deleted_ends_and_leaves_the_thread_usable(
    request: pytest.FixtureRequest,
    server: Server,
    thread: str,
    pace: Callable[[int], None],
    by: str,
) -> None:
    pace(50)
    reader = Reader(server, response_id := begin(server, "/repeat 1000", thread))
    _until(lambda: "word5" in reader.text)
    deleted = request.getfixturevalue(by).http.delete(
        f"/responses/{response_id}", headers={"X-Forwarded-User": "ada"}
    )
    assert deleted.status_code == 200
    assert reader.wait(15).events[-1]["type"] not in TERMINAL
    pace(0)
    assert "stand-in" in server.ask("hello", thread)


@once
def test_another_users_response_is_not_found(server: Server, thread: str) -> None:
    response_id = begin(server, "hello", thread)
    answers = [_every_route(server, key, "eve") for key in (response_id, "resp_unknown")]
    assert answers[0] == answers[1]
    assert {status for status, _ in answers[0]} == {404}
    assert Reader(server, response_id).wait().done


@once
def test_another_users_running_response_is_not_found_either(
    server: Server, thread: str, pace: Callable[[int], None]
) -> None:
    pace(50)
    response_id = begin(server, "/repeat 100", thread)
    assert {status for status, _ in _every_route(server, response_id, "eve")} == {404}
    _cancel(server, response_id)


@once
def test_the_same_key_runs_once_across_processes(
    server: Server, other: Server, model: StandinModel, thread: str
) -> None:
    before, key = len(model.requests), {"Idempotency-Key": thread}
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda s: begin(s, "hello", thread, **key), [server, other] * 4)
    [response_id] = set(found)
    Reader(other, response_id).wait()
    assert len(model.requests) - before == 1


@once
def test_a_key_that_was_used_for_another_request_is_refused(server: Server, thread: str) -> None:
    headers = {"Idempotency-Key": thread, "X-Forwarded-User": "ada"}
    begin(server, "hello", thread, **headers)
    body = {"input": "something else", "background": True}
    assert server.http.post("/responses", json=body, headers=headers).status_code == 422


@once
def test_a_key_belongs_to_one_user(server: Server, thread: str) -> None:
    ids = {begin(server, "hello", thread, user, **{"Idempotency-Key": thread}) for user in "ab"}
    assert len(ids) == 2


def test_a_failing_model_ends_the_response_with_a_reason(
    server: Server, model: StandinModel, thread: str
) -> None:
    model.status = 500
    events = Reader(server, begin(server, "hello", thread)).wait().events
    model.status = 200
    assert_whole(events)
    assert events[-1]["response"]["error"]["code"] == "model_failed"
    assert "hello" in server.ask("hello", thread)


def test_an_output_that_is_too_large_ends_the_response_with_a_reason(
    server: Server, thread: str
) -> None:
    events = Reader(server, begin(server, '/call large {"size": 17000000}', thread)).wait().events
    assert_whole(events)
    assert events[-1]["response"]["error"]["code"] == "output_too_large"
    assert "hello" in server.ask("hello", uuid4().hex)


@once
def test_a_run_waits_for_a_turn_of_its_thread_however_long_that_takes(
    server: Server, variables: Variables, thread: str
) -> None:
    lease = f"SELECT 1 FROM turn_leases WHERE thread_key = 'ada/{thread}'"
    with ThreadPoolExecutor() as pool:
        turn = pool.submit(server.post, "/repeat 1000 every 18 ms", thread, stream=True)
        _until(lambda: bool(_execute(variables, lease)))
        response_id = begin(server, "hello", thread)
        assert "word1000" in turn.result().text
    assert Reader(server, response_id).wait().done
    found = _execute(variables, f"SELECT status, attempt FROM responses WHERE id = '{response_id}'")
    assert found == [("completed", 1)]


@once
def test_a_start_soon_deletes_responses_older_than_a_week(
    project: Project, variables: Variables, server: Server, thread: str
) -> None:
    old, young = (begin(server, "hello", f"{thread}{age}") for age in (8, 6))
    for response_id, age in ((old, 8), (young, 6)):
        Reader(server, response_id).wait()
        _execute(variables, f"UPDATE responses SET created_at = now() - interval '{age} days' "
                 f"WHERE id = '{response_id}'")  # fmt: skip
    with Server(project, **variables) as other:
        other.until_ready()
        where, ada = f"/responses/{old}", {"X-Forwarded-User": "ada"}
        _until(lambda: other.http.get(where, headers=ada).status_code == 404)
        assert read(other, young)["status"] == "completed"


@once
def test_a_run_that_kills_every_process_is_abandoned(
    project: Project, variables: Variables, server: Server, thread: str, pace: Callable[[int], None]
) -> None:
    pace(50)
    with Server(project, **variables) as doomed:
        response_id = begin(doomed.until_ready(), "/repeat 200", thread)
        doomed.stop(signal.SIGKILL)
    _execute(variables, "UPDATE responses SET attempt = 3, heartbeat_at = '2020-01-01' "
             f"WHERE id = '{response_id}'")  # fmt: skip
    events = Reader(server, response_id).wait().events
    assert_whole(events)
    assert events[-1]["response"]["error"]["code"] == "too_many_attempts"


@once
def test_a_server_that_is_asked_to_stop_hands_over_its_runs(
    project: Project, variables: Variables, thread: str, pace: Callable[[int], None]
) -> None:
    pace(50)
    with Server(project, **variables) as server:
        response_id = begin(server.until_ready(), "/repeat 60", thread)
        seen = Reader(server, response_id)
        _until(lambda: "word10" in seen.text)
        _stop_promptly(server)
    assert not seen.wait().done
    with Server(project, **variables) as server:
        rest = Reader(server.until_ready(), response_id, seen.numbers[-1]).wait()
        assert_whole(seen.events + rest.events)
        _assert_answered_once(server, response_id, "/repeat 60", "word60", thread)


@once
def test_two_hundred_streams_at_once_lose_nothing(
    server: Server, pace: Callable[[int], None]
) -> None:
    pace(50)
    places = [(f"user{n % 20}", uuid4().hex) for n in range(200)]
    with ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(lambda p: begin(server, "/repeat 30", p[1], p[0]), places))
    readers = [Reader(server, i, user=u) for i, (u, _) in zip(ids, places, strict=True)]
    for reader in readers:
        assert_whole(reader.wait(120).events)
        assert reader.text.endswith("word30") and reader.done, reader.events[-1]


@once
def test_a_user_with_too_many_runs_is_told_to_wait(
    server: Server, pace: Callable[[int], None]
) -> None:
    pace(100)
    ids = [begin(server, "/repeat 100", uuid4().hex, "busy") for _ in range(20)]
    refused = server.post("hello", user="busy", background=True)
    assert refused.status_code == 429 and refused.headers["retry-after"]
    begin(server, "hello", uuid4().hex, "somebody")
    for response_id in ids:
        _cancel(server, response_id, "busy")


@once
def test_a_hundred_tokens_cost_at_most_25_statements(
    project: Project, variables: Variables, thread: str, pace: Callable[[int], None]
) -> None:
    pace(20)
    port = int(variables["DATABASE_URL"].rsplit(":", 1)[1].split("/")[0])
    with open_wire(port) as (way, traffic):
        place = variables["DATABASE_URL"].replace(f":{port}/", f":{way}/")
        with Server(project, **{**variables, "DATABASE_URL": place}) as server:
            server.until_ready().ask("hello")
            before = traffic.copy()
            Reader(server, begin(server, "/repeat 100", thread)).wait()
            spent = (traffic - before).statements
    assert sum(count for text, count in spent.items() if "response" in text) <= 25


@once
def test_an_idle_app_says_nothing_to_its_database(
    server: Server, variables: Variables, thread: str
) -> None:
    Reader(server, begin(server, "hello", thread)).wait()
    # A process that died in an earlier test is missed ten seconds after its last heartbeat.
    time.sleep(15)
    before = _execute(variables, ACTIVITY)
    time.sleep(40)
    assert _execute(variables, ACTIVITY) == before


@once
def test_no_interleaving_of_crashes_claims_and_cancels_loses_or_repeats_an_event(
    project: Project,
) -> None:
    shutil.copy(INTERLEAVINGS, project.folder)
    said = project.uv("run", "--with", "hypothesis>=6.150,<7", "python", "interleavings.py")
    assert "15 interleavings held" in said


DROP_LISTENERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'"""
INTERLEAVINGS = REPOSITORY / "tests" / "support" / "interleavings.py"
ACTIVITY = """
    SELECT pid, query_start FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid"""


def _assert_answered_once(
    server: Server, response_id: str, question: str, answer: str, thread: str
) -> None:
    response = read(server, response_id)
    assert response["status"] == "completed"
    assert answer in text_of(response)
    calls = [item["call_id"] for item in response["output"] if item["type"] == "function_call"]
    assert len(calls) == len(set(calls))
    assert server.ask(SAID, thread).count(question) == 1


def _assert_cancel_works(
    server: Server,
    canceller: Server,
    model: StandinModel,
    thread: str,
    pace: Callable[[int], None],
) -> None:
    pace(50)
    response_id = begin(server, "/repeat 1000", thread)
    reader = Reader(server, response_id)
    _until(lambda: "word5" in reader.text)
    assert _cancel(canceller, response_id)["status"] == "cancelled"
    time.sleep(1)
    sent = model.chunks
    assert_whole(reader.wait().events)
    time.sleep(1)
    assert model.chunks == sent > 5
    pace(0)
    assert "stand-in" in server.ask("hello", thread)


def _stop_promptly(server: Server) -> None:
    started = time.monotonic()
    server.stop()
    assert time.monotonic() - started < 10


def _cancel(server: Server, response_id: str, user: str = "ada") -> dict[str, Any]:
    headers = {"X-Forwarded-User": user}
    return dict(server.http.post(f"/responses/{response_id}/cancel", headers=headers).json())


def _every_route(server: Server, response_id: str, user: str) -> list[tuple[int, str]]:
    url, headers = f"/responses/{response_id}", {"X-Forwarded-User": user}
    calls = [
        ("GET", url),
        ("GET", f"{url}?stream=true"),
        ("POST", f"{url}/cancel"),
        ("DELETE", url),
    ]
    answers = [server.http.request(method, path, headers=headers) for method, path in calls]
    return [(answer.status_code, answer.text) for answer in answers]


def _last(reader: Reader) -> int:
    return reader.numbers[-1] if reader.numbers else -1


def _execute(variables: Variables, query: str) -> list[Any]:
    options = "-c search_path=my_agent"
    with psycopg.connect(variables["DATABASE_URL"], autocommit=True, options=options) as connection:
        cursor = connection.execute(query)
        return list(cursor.fetchall()) if cursor.description else []


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
