"""Graphs of other people's kind run unchanged as `agent.py`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Renders
from tests.project.test_tool_servers import until
from tests.standins.answers import Answer
from tests.standins.model import StandinModel
from tests.support.foreign_graphs import CARELESS, GUARDED, OWN_NODES, PRIVATE_MODELS, SUPERVISOR
from tests.support.project import Project, Server, install, text_of
from tests.support.rendering import Combination, render
from tests.support.ways import WAYS, Ask, every_way, in_background, streamed, whole

pytestmark = [pytest.mark.generated, pytest.mark.usefixtures("strict")]
MEMORY = ("short_term", "background", "chat")


@pytest.fixture(scope="module")
def project(renders: Renders, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return an installed project, whose agent the tests replace."""
    folder = tmp_path_factory.mktemp("graphs") / "my-agent"
    render(renders.template, Combination("langgraph", MEMORY, "local"), folder)
    return install(folder, tmp_path_factory.mktemp("environment"))


def serve(project: Project, model: StandinModel, agent: str) -> Server:
    """Start the project with another agent."""
    Path(project.folder, "agent_server", "agent.py").write_text(agent)
    return Server(project, OPENAI_BASE_URL=model.url, OPENAI_API_KEY="none")


@pytest.fixture(scope="module", params=["own nodes", "supervisor"])
def foreign(request: Any, project: Project, model: StandinModel) -> Iterator[Server]:
    """Yield a server whose agent knows nothing of ours."""
    agents = {"own nodes": OWN_NODES, "supervisor": SUPERVISOR}
    with serve(project, model, agents[request.param]) as server:
        yield server.until_ready()


@pytest.fixture(scope="module")
def private(project: Project, model: StandinModel) -> Iterator[Server]:
    """Yield a server whose tools call models, end turns and fail."""
    with serve(project, model, PRIVATE_MODELS) as server:
        yield server.until_ready()


@pytest.fixture(scope="module")
def guarded(project: Project, model: StandinModel) -> Iterator[Server]:
    """Yield a server whose agent has LangChain's middleware."""
    with serve(project, model, GUARDED) as server:
        yield server.until_ready()


def kinds(body: dict[str, Any]) -> list[str]:
    return [item["type"] for item in body["output"]]


@every_way
def test_a_foreign_graph_answers_and_remembers(foreign: Server, ask: Ask) -> None:
    thread = str(uuid4())
    assert kinds(ask(foreign, "My name is Ada", thread)) == ["message"]
    assert "Ada" in text_of(ask(foreign, "What is my name?", thread))


@every_way
def test_the_tools_of_a_foreign_graph_are_told_once(
    foreign: Server, model: StandinModel, ask: Ask
) -> None:
    thread = str(uuid4())
    ask(foreign, "hello", thread)
    body = ask(foreign, '/call echo {"text": "once"}', thread)
    assert kinds(body) == ["function_call", "function_call_output", "message"]
    assert body["output"][1]["output"] == "once"


def test_a_client_that_resends_its_history_does_not_grow_the_thread(
    foreign: Server, model: StandinModel
) -> None:
    thread, said = str(uuid4()), [{"role": "user", "content": "hello"}]
    for _ in range(3):
        answer = foreign.post(said, thread).json()
        reply = {"role": "assistant", "content": text_of(answer)}
        said = [*said, reply, {"role": "user", "content": "hello"}]
    history = json.loads(model.requests[-1])["messages"]
    assert [m["role"] for m in history if m["role"] != "system"].count("user") == 3


def test_a_question_that_a_foreign_graph_failed_on_is_not_kept(
    foreign: Server, model: StandinModel
) -> None:
    thread = str(uuid4())
    whole(foreign, "hello", thread)
    model.refuses = b"bad words"
    assert "error" in whole(foreign, "bad words", thread)
    assert whole(foreign, "hello again", thread)["status"] == "completed"


def test_what_a_streamed_node_says_arrives_in_pieces(foreign: Server) -> None:
    answer = foreign.post("/repeat 30 every 5 ms", str(uuid4()), stream=True)
    assert answer.text.count("response.output_text.delta") > 30


@every_way
def test_a_model_that_a_tool_calls_is_not_told(private: Server, ask: Ask) -> None:
    body = ask(private, '/call ask_expert {"question": "?"}', str(uuid4()))
    assert kinds(body) == ["function_call", "function_call_output", "message"]
    assert "secret" not in text_of(body)


@every_way
def test_a_tool_that_ends_the_turn_is_the_answer(private: Server, ask: Ask) -> None:
    thread = str(uuid4())
    assert text_of(ask(private, "/call receipt", thread)) == "Receipt number 7."
    assert text_of(ask(private, "/call receipt", thread)) == "Receipt number 7."


def test_an_answer_that_a_tool_gave_is_the_chats(private: Server) -> None:
    chat, ada = str(uuid4()), {"X-Forwarded-User": "ada"}
    private.http.post("/api/chat", json={"message": "/call receipt", "chatId": chat}, headers=ada)
    kept = private.http.get(f"/api/chats/{chat}/messages", headers=ada).json()
    assert kept[-1]["content"] == "Receipt number 7."


@pytest.mark.parametrize("ask", WAYS, ids=lambda way: way.__name__)
def test_a_tool_that_fails_is_not_taken_for_the_workspace(private: Server, ask: Ask) -> None:
    error = ask(private, "/call forbidden", str(uuid4()))["error"]
    assert (error["code"], "forbidden" in error["message"]) == ("tool_failed", True)


@every_way
def test_what_is_redacted_was_never_told(guarded: Server, model: StandinModel, ask: Ask) -> None:
    model.script = [Answer(("Write to ", "ada@example.com", " today."))]
    said = text_of(ask(guarded, "hello", str(uuid4())))
    assert said.startswith("Write to [REDACTED") and said.endswith("today.")


def test_no_piece_of_a_stream_holds_what_is_redacted(guarded: Server, model: StandinModel) -> None:
    model.script = [Answer(("Write to ", "ada@example.com", " today."))]
    assert "ada@" not in guarded.post("hello", str(uuid4()), stream=True).text


@every_way
def test_a_guard_that_trips_refuses_the_question_and_keeps_nothing(
    guarded: Server, model: StandinModel, ask: Ask
) -> None:
    thread, card = str(uuid4()), "4242424242424242"
    ask(guarded, "hello", thread)
    assert ask(guarded, f"pay with {card}", thread)["error"]["code"] == "guardrail_tripped"
    assert ask(guarded, "hello again", thread)["status"] == "completed"
    assert card not in str(model.requests[-1])


@pytest.mark.parametrize("ask", [whole, streamed, in_background], ids=lambda way: way.__name__)
def test_the_same_word_each_turn_reaches_the_model_beside_a_summary(
    guarded: Server, model: StandinModel, ask: Ask
) -> None:
    thread = str(uuid4())
    for number in range(20):
        before = len(model.requests)
        assert ask(guarded, "yes", thread)["status"] == "completed", number
        asked = [json.loads(body)["messages"] for body in model.requests[before:]]
        assert any(history[-1]["content"] == "yes" for history in asked), number


def test_an_agent_that_changes_what_it_is_given_does_not_change_the_thread(
    project: Project, model: StandinModel
) -> None:
    thread = str(uuid4())
    with serve(project, model, CARELESS) as server:
        server.until_ready()
        for text in ("My name is Ada", "hello", "mask"):
            assert whole(server, text, thread)["status"] == "completed"
        assert "***" in str(model.requests[-1])
        assert "Ada" in text_of(whole(server, "What is my name?", thread))
    assert "***" not in str(model.requests[-1])


def test_what_is_no_graph_is_refused_in_one_line(project: Project, model: StandinModel) -> None:
    agent = OWN_NODES.replace("return graph.compile()", "return None")
    with serve(project, model, agent) as server:
        refused = "build_agent must return a compiled graph, not a NoneType"
        until(lambda: refused in server.log)
        assert refused in server.http.get("/ready").text
