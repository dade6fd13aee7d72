"""The server of a generated project, through what happens to servers."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest
from openai import OpenAI

from tests.standins.model import SECRET, StandinModel, open_standin_model
from tests.standins.tcp_proxy import Proxy, open_proxy
from tests.support.project import Project, Server

pytestmark = pytest.mark.generated
# For what no framework has a part in.
once = pytest.mark.parametrize("project", ["langgraph"], indirect=True)
NAME, SAID, LONG = "What is my name?", "What did I say?", "/repeat 2000 every 20 ms"


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


@pytest.fixture(scope="module")
def database(project: Project) -> Iterator[str]:
    """Yield the URL of a Postgres that outlives the servers."""
    with project.open_database() as url:
        yield url


@pytest.fixture(scope="module")
def model() -> Iterator[StandinModel]:
    """Yield a model whose failures a test chooses."""
    with open_standin_model() as model:
        yield model


@pytest.fixture(scope="module")
def proxy(database: str) -> Iterator[Proxy]:
    """Yield the way to that database, which a test can break."""
    with open_proxy(urlsplit(database).port or 5432) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def variables(database: str, proxy: Proxy, model: StandinModel) -> dict[str, str]:
    """Return what makes a server use that database and that model."""
    url = database.replace(f":{urlsplit(database).port}/", f":{proxy.port}/")
    return {"DATABASE_URL": url, "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}


@pytest.fixture(scope="module")
def server(project: Project, variables: dict[str, str]) -> Iterator[Server]:
    """Yield a running server."""
    with Server(project, **variables) as server:
        yield server.until_ready()


@pytest.fixture(autouse=True)
def healthy(model: StandinModel) -> None:
    """Let every test start with a model that works."""
    model.status, model.delay, model.refuses, model.calls = 200, 0, b"", ""
    model.says, model.breaks_after, model.arguments = None, 2**31, "{}"


@once
def test_start_app_needs_no_settings_and_says_what_it_runs_on(project: Project) -> None:
    with Server(project) as server:
        server.until_ready()
        assert "stand-in" in server.ask("hello")
    for said in ("embedded Postgres", "not a model", "local-user", str(server.port)):
        assert said in server.log


def test_health_answers_before_the_agent_is_built(
    project: Project, variables: dict[str, str]
) -> None:
    with Server(project, **variables) as server:
        while not (health := _try(server, "/health")):
            time.sleep(0.02)
        assert health.status_code == 200
        assert server.http.get("/ready").status_code == 503


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=str)
def test_memory_survives_a_restart_and_a_kill(
    project: Project, variables: dict[str, str], how: signal.Signals
) -> None:
    user, thread = f"user-{how}", "t"
    with Server(project, **variables) as server:
        server.until_ready().ask("My name is Ada", thread, user)
        server.ask("Remember that I like teal", user=user)
        server.stop(how)
    with Server(project, **variables) as server:
        assert "Ada" in server.until_ready().ask(NAME, thread, user)
        assert "teal" in server.ask("What do you know about me?", user=user)


def test_a_kill_in_the_middle_of_a_turn_leaves_the_thread_usable(
    project: Project, variables: dict[str, str], model: StandinModel
) -> None:
    with Server(project, **variables) as server:
        server.until_ready().ask("one", "killed")
        model.delay = 30
        threading.Thread(target=lambda: _try_post(server, "two", "killed"), daemon=True).start()
        _until(lambda: model.running == 1)
        server.stop(signal.SIGKILL)
    model.delay = 0
    with Server(project, **variables) as server:
        server.until_ready().ask("two", "killed")
        assert server.ask(SAID, "killed").count("two") == 1


def test_two_workers_share_threads_and_lose_nothing(
    project: Project, variables: dict[str, str]
) -> None:
    with Server(project, "--workers", "2", **variables) as server:
        server.until_ready()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: server.ask(f"number{n}.", "workers"), range(12)))
        said = server.ask(SAID, "workers")
    assert [f"number{n}." in said for n in range(12)] == [True] * 12


@pytest.mark.parametrize(("status", "seen"), [(429, 429), (500, 502), (400, 502), (404, 502)])
def test_a_failing_model_is_distinguished_from_a_rate_limit(
    server: Server, model: StandinModel, status: int, seen: int
) -> None:
    model.status = status
    response = server.post("hello")
    assert response.status_code == seen
    assert SECRET not in response.text and "Traceback" not in response.text
    assert SECRET in server.log


def test_a_failed_turn_that_is_sent_again_is_stored_once(
    server: Server, model: StandinModel
) -> None:
    server.ask("one", "retried")
    model.status = 500
    assert server.post("two", "retried").status_code == 502
    model.status = 200
    server.ask("two", "retried")
    assert server.ask(SAID, "retried").count("two") == 1


def test_a_turn_that_failed_after_a_tool_and_is_sent_again_is_stored_once(
    server: Server, model: StandinModel
) -> None:
    model.fail_after(1)
    assert server.post("What time is it?", "broken-tool").status_code == 502
    model.status = 200
    server.ask("What time is it?", "broken-tool")
    assert server.ask(SAID, "broken-tool").count("What time is it?") == 1


def test_a_message_that_the_model_refuses_does_not_stay_in_the_thread(
    server: Server, model: StandinModel
) -> None:
    server.ask("one", "refused")
    model.refuses = b"poison"
    assert server.post("poison", "refused").status_code == 502
    said = server.ask(SAID, "refused")
    assert "one" in said and "poison" not in said


def test_a_history_that_the_model_refuses_does_not_stay_in_the_thread(
    server: Server, model: StandinModel
) -> None:
    server.ask("one", "refused-history")
    model.refuses = b"poison"
    history = [_user("poison"), _assistant("Well."), _user("two")]
    assert server.post(history, "refused-history").status_code == 502
    said = server.ask(SAID, "refused-history")
    assert "one" in said and "two" not in said


def test_resending_a_history_after_failures_does_not_grow_the_thread(
    server: Server, model: StandinModel
) -> None:
    history = [_user("one"), _assistant(server.ask("one", "resent")), _user("two")]
    model.status = 500
    for _ in range(2):
        assert server.post(history, "resent").status_code == 502
    model.status = 200
    server.ask(history, "resent")
    said = server.ask(SAID, "resent")
    assert (said.count("one"), said.count("two")) == (1, 1)


def test_an_answer_that_was_lost_in_transit_is_generated_again(server: Server) -> None:
    history = [_user("one"), _assistant(server.ask("one", "lost")), _user("two")]
    for _ in range(2):
        server.ask(history, "lost")
    assert server.ask(SAID, "lost").count("two") == 1


def test_a_question_asked_again_after_a_timeout_is_stored_once(
    server: Server, model: StandinModel
) -> None:
    model.delay = 3
    body = {"input": "one", "custom_inputs": {"thread_id": "left"}}
    with pytest.raises(httpx.ReadTimeout):
        server.http.post("/responses", json=body, headers={"X-Forwarded-User": "ada"}, timeout=1)
    model.delay = 0
    server.ask("one", "left")
    assert server.ask(SAID, "left").count("one") == 1


def test_parallel_calls_are_sent_to_the_model_as_one_message(
    server: Server, model: StandinModel
) -> None:
    call = {"type": "function_call", "name": "get_current_time", "arguments": "{}"}
    output = {"type": "function_call_output", "output": "noon"}
    ids = [{"call_id": "a"}, {"call_id": "b"}]
    items = [{**item, **each} for item in (call, output) for each in ids]
    server.ask([_user("What time is it?"), *items, _assistant("Noon."), _user("Thanks")], "calls")
    sent = json.loads(model.requests[-1])["messages"]
    assert [len(m["tool_calls"]) for m in sent if m.get("tool_calls")] == [2]


def test_a_call_or_an_output_without_its_partner_is_not_sent_to_the_model(
    server: Server, model: StandinModel
) -> None:
    output = {"type": "function_call_output", "call_id": "a", "output": "noon"}
    call = {"type": "function_call", "call_id": "b", "name": "get_current_time", "arguments": "{}"}
    server.ask([output, _assistant("Noon."), _user("Thanks"), call, _user("Bye")], "cut")
    sent = json.loads(model.requests[-1])["messages"]
    assert [m["role"] for m in sent] == ["system", "assistant", "user", "user"]


def test_an_unreadable_call_that_the_model_refuses_does_not_stay_in_the_thread(
    server: Server, model: StandinModel
) -> None:
    model.calls, model.arguments = "get_current_time", "unreadable"
    server.post("one", "unread")
    model.calls, model.refuses = "", b"unreadable"
    server.post("two", "unread")
    assert server.ask("three", "unread")


def test_a_model_that_never_answers_is_stopped(server: Server, model: StandinModel) -> None:
    model.calls, before = "get_current_time", len(model.requests)
    body = server.post("hello", "endless").json()
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_steps"})
    assert len(model.requests) - before <= 51


@pytest.mark.parametrize(
    "arguments", ["{}", '{"memory_key": "k", "memory": "the \\u0000 word is xylophone"}']
)
def test_the_model_is_told_of_arguments_that_do_not_fit(server: Server, arguments: str) -> None:
    assert server.post(f"/call save_user_memory {arguments}", "unfit").status_code == 200
    assert "xylophone" not in server.log


def test_the_model_is_told_of_an_unknown_time_zone(server: Server) -> None:
    answer = server.ask('/call get_current_time {"timezone": "Europe"}', "place")
    assert "There is no time zone" in answer


def test_a_reader_who_hangs_up_ends_the_turn_and_leaves_the_thread_usable(
    server: Server, model: StandinModel
) -> None:
    server.ask("one", "hang-up")
    body = {"input": LONG, "stream": True, "custom_inputs": {"thread_id": "hang-up"}}
    headers = {"X-Forwarded-User": "ada"}
    with server.http.stream("POST", "/responses", json=body, headers=headers) as response:
        next(response.iter_bytes())
    server.ask("two", "hang-up")
    assert "two" in server.ask(SAID, "hang-up")


def test_a_failing_stream_is_a_502_without_secrets(server: Server, model: StandinModel) -> None:
    model.status = 500
    response = server.post("hello", stream=True)
    assert response.status_code == 502
    assert SECRET not in response.text


def test_a_stream_that_is_cut_off_leaves_its_message_incomplete(
    server: Server, model: StandinModel
) -> None:
    model.breaks_after = 5
    told = server.post(LONG, stream=True).text
    last = [json.loads(line[6:]) for line in told.splitlines() if line.startswith("data: {")][-1]
    assert last["type"] == "response.failed"
    assert last["response"]["output"][0]["status"] == "incomplete"


def test_an_empty_stream_is_not_an_answer(server: Server, model: StandinModel) -> None:
    model.says = ""
    assert server.post("one", "silent", stream=True).status_code == 502
    model.says = None
    assert server.ask("one", "silent")
    sent = json.loads(model.requests[-1])["messages"]
    assert [m["role"] for m in sent] == ["system", "user"]


def test_a_blank_answer_does_not_stay_in_the_thread(server: Server, model: StandinModel) -> None:
    model.says = " \n"
    assert server.post("one", "spaces", stream=True).status_code == 200
    model.says = None
    server.ask("two", "spaces")
    sent = json.loads(model.requests[-1])["messages"]
    assert [m["role"] for m in sent] == ["system", "user", "user"]


def test_an_empty_answer_is_not_sent_to_the_model(server: Server, model: StandinModel) -> None:
    server.ask([_user("one"), _assistant(""), _user("two")], "wordless")
    sent = json.loads(model.requests[-1])["messages"]
    assert [m["role"] for m in sent] == ["system", "user", "user"]


def test_the_official_client_works_unchanged(server: Server) -> None:
    client = OpenAI(base_url=f"http://127.0.0.1:{server.port}", api_key="none")
    with client.responses.stream(model="agent", input="What time is it?") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert {"response.output_item.added", "response.output_text.delta"} <= set(kinds)
    assert [item.type for item in final.output][-1] == "message"
    assert final.usage and final.usage.total_tokens > 0


def test_no_message_or_memory_is_in_the_log(server: Server) -> None:
    server.ask("the word is xylophone", "private")
    server.ask("Remember that I play the xylophone", "private")
    assert "xylophone" not in server.log


def test_a_client_that_echoes_the_output_does_not_grow_the_thread(server: Server) -> None:
    first = server.post("What time is it?", "echo").json()
    question = {"role": "user", "content": "What time is it?"}
    again = {"role": "user", "content": SAID}
    answer = server.ask([question, *first["output"], again], "echo")
    assert answer.count("What time is it?") == 1


@once
@pytest.mark.parametrize("port", ["taken", "0", "70000"])
def test_a_bad_port_is_a_clear_error(project: Project, server: Server, port: str) -> None:
    port = str(server.port) if port == "taken" else port
    started = project.start("start-app", "--port", port, stderr=-1)
    _, error = started.communicate(timeout=30)
    assert started.returncode == 2
    assert "--port" in error and "Traceback" not in error


@once
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOG_LEVEL", "LOUD"),
        ("DATABASE_URL", "mysql://ada:hidden@here/db"),
        ("MAX_STEPS", "many"),
        ("LEASE_SECONDS", "0"),
        ("THREADS_KEPT_DAYS", "-1"),
    ],
)
def test_a_bad_setting_is_named_before_anything_starts(
    project: Project, variables: dict[str, str], name: str, value: str
) -> None:
    started = project.start("start-app", variables={**variables, name: value}, stderr=-1)
    _, error = started.communicate(timeout=30)
    assert started.returncode == 2
    assert name in error and "Traceback" not in error and "hidden" not in error


def test_a_model_server_needs_no_key(project: Project, variables: dict[str, str]) -> None:
    with Server(project, **{**variables, "OPENAI_API_KEY": ""}) as server:
        assert server.until_ready().ask("hello")


@once
def test_an_error_before_the_start_needs_no_model_packages(project: Project) -> None:
    code = (
        "import sys; from agent_server.errors import ApiError, to_api_error;"
        "to_api_error(ApiError(503, 'not_ready', 'x')); sys.exit('openai' in sys.modules)"
    )
    assert project.start("python", "-c", code).wait() == 0


@once
def test_a_deployed_app_refuses_to_start_without_lakebase(
    project: Project, variables: dict[str, str]
) -> None:
    deployed = {**variables, "DATABRICKS_APP_NAME": "my-agent", "DATABRICKS_APP_PORT": "0"}
    started = project.start("start-app", variables=deployed, stderr=-1)
    _, error = started.communicate(timeout=30)
    assert started.returncode == 2
    assert "LAKEBASE_AUTOSCALING_ENDPOINT" in error and "databricks.yml" in error


def test_a_failed_sign_in_names_the_settings_it_used(
    project: Project, variables: dict[str, str]
) -> None:
    absent = {"DATABRICKS_CONFIG_FILE": "none", "DATABRICKS_CONFIG_PROFILE": "absent"}
    with Server(project, **variables, **absent) as lost:
        _until(lambda: "DATABRICKS_CONFIG_PROFILE" in getattr(_try(lost, "/ready"), "text", ""))
        assert lost.http.get("/ready").status_code == 503
        assert lost.http.get("/health").status_code == 200


@once
def test_vectors_of_the_wrong_length_are_refused_with_all_three_lengths(
    project: Project, variables: dict[str, str], server: Server
) -> None:
    with Server(project, EMBEDDING_DIMS="512", **variables) as unfit:
        _until(lambda: "EMBEDDING_DIMS" in getattr(_try(unfit, "/ready"), "text", ""))
        reason = unfit.http.get("/ready").json()["error"]["message"]
    for length in ("returns 1024 numbers", "EMBEDDING_DIMS is 512", "embedding holds 1024"):
        assert length in reason


def test_a_turn_is_a_503_while_the_database_is_away_and_works_again_afterwards(
    server: Server, proxy: Proxy
) -> None:
    server.ask("My name is Ada", "away")
    with proxy.switched_off():
        response = server.post(NAME, "away")
        assert response.status_code == 503 and response.headers["retry-after"]
        assert "127.0.0.1" not in response.text and "psycopg" not in response.text
        assert server.http.get("/ready").status_code == 503
        assert server.http.get("/health").status_code == 200
    assert "Ada" in server.ask(NAME, "away")


@once
def test_chats_are_a_503_while_the_database_is_away(server: Server, proxy: Proxy) -> None:
    with proxy.switched_off():
        response = server.http.get("/api/chats", headers={"X-Forwarded-User": "ada"})
    assert response.status_code == 503 and response.headers["retry-after"]
    assert response.json()["error"]["code"] == "database_unavailable"
    assert "127.0.0.1" not in response.text and "psycopg" not in response.text
    assert response.headers["x-request-id"] and response.headers["content-security-policy"]
    assert response.headers["connection"] == "close"


@once
def test_a_database_that_stopped_answering_is_used_again_once_it_answers(
    server: Server, proxy: Proxy
) -> None:
    with proxy.switched_off(silent=True):
        assert server.post("hello", "silent").status_code == 503
    _until(lambda: server.post("hello", "silent").status_code == 200)


def test_a_turn_that_outlives_its_lease_while_the_database_is_away_is_a_503(
    server: Server, model: StandinModel, proxy: Proxy
) -> None:
    model.delay = 20
    with ThreadPoolExecutor() as pool:
        turn = pool.submit(server.post, "one", "outlived")
        _until(lambda: model.running == 1)
        with proxy.switched_off():
            assert turn.result().status_code == 503
    assert turn.result().headers["retry-after"]


@once
def test_a_reader_who_hangs_up_before_the_first_word_ends_the_turn(
    server: Server, model: StandinModel
) -> None:
    model.delay = 25
    body = {"input": "one", "stream": True, "custom_inputs": {"thread_id": "early"}}
    with pytest.raises(httpx.ReadTimeout):
        server.http.post("/responses", json=body, headers={"X-Forwarded-User": "ada"}, timeout=2)
    model.delay = 0
    assert "two" in server.ask("two", "early")
    _until(lambda: model.running == 0)  # it goes on sleeping


def _try(server: Server, path: str) -> httpx.Response | None:
    try:
        return server.http.get(path)
    except httpx.TransportError:
        return None


def _try_post(server: Server, question: str, thread: str) -> None:
    try:
        server.post(question, thread)
    except httpx.TransportError:
        return


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
