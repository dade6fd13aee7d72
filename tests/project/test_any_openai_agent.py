"""Agents of other people's kind run unchanged as `agent.py` with the OpenAI Agents SDK."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Renders
from tests.standins.answers import Answer, Call
from tests.standins.model import StandinModel
from tests.support.foreign_agents import CARELESS, GUARDED, HANDOFFS, TOOLS
from tests.support.project import Project, Server, install, text_of
from tests.support.rendering import Combination, render
from tests.support.ways import ADA, Ask, every_way, whole

pytestmark = [pytest.mark.generated, pytest.mark.usefixtures("strict")]
MEMORY = ("short_term", "background", "chat")
PICTURE = {"type": "input_image", "image_url": "https://pictures.invalid/a.png"}
LONG = "x" * 250_000  # two of these are more than is read of a thread


@pytest.fixture(scope="module")
def project(renders: Renders, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return an installed project, whose agent the tests replace."""
    folder = tmp_path_factory.mktemp("agents") / "my-agent"
    render(renders.template, Combination("openai", MEMORY, "local"), folder)
    return install(folder, tmp_path_factory.mktemp("environment"))


def serve(project: Project, model: StandinModel, agent: str) -> Server:
    """Start the project with another agent."""
    Path(project.folder, "agent_server", "agent.py").write_text(agent)
    return Server(project, OPENAI_BASE_URL=model.url, OPENAI_API_KEY="none")


@pytest.fixture(scope="module")
def desk(project: Project, model: StandinModel) -> Iterator[Server]:
    """Yield a server whose agents hand over to one another."""
    with serve(project, model, HANDOFFS) as server:
        yield server.until_ready()


@pytest.fixture(scope="module")
def guarded(project: Project, model: StandinModel) -> Iterator[Server]:
    """Yield a server whose answers are looked at before they are told."""
    with serve(project, model, GUARDED) as server:
        yield server.until_ready()


@pytest.fixture(scope="module")
def tools(project: Project, model: StandinModel) -> Iterator[Server]:
    """Yield a server whose tools end turns, fail, and are agents."""
    with serve(project, model, TOOLS) as server:
        yield server.until_ready()


def say(server: Server, chat: str, text: str, **more: str) -> None:
    """Ask in a chat."""
    body = {"chatId": chat, "message": text, **more}
    assert server.http.post("/api/chat", json=body, headers=ADA).status_code == 200


def speaker(model: StandinModel) -> str:
    """Return the instructions of the agent that asked the model last."""
    return str(json.loads(model.requests[-1])["messages"][0]["content"])


@every_way
def test_the_next_turn_goes_on_with_the_agent_that_spoke_last(
    desk: Server, model: StandinModel, ask: Ask
) -> None:
    thread = str(uuid4())
    model.script = [Answer(None, (Call("transfer_to_clerk"),)), Answer("I am the clerk.")]
    assert text_of(ask(desk, "hello", thread)) == "I am the clerk."
    model.script = [Answer(None, (Call("transfer_to_poet"),)), Answer("I am the poet.")]
    ask(desk, "a poem", thread)
    assert "poet" in speaker(model)
    assert ask(desk, "another", thread)["status"] == "completed"
    assert "poet" in speaker(model)


@pytest.mark.parametrize("handed", [True, False], ids=["handed over", "asked again"])
def test_a_long_thread_goes_on_with_the_agent_that_spoke_last(
    desk: Server, model: StandinModel, handed: bool
) -> None:
    chat = str(uuid4())
    model.script = [Answer(None, (Call("transfer_to_poet"),)), Answer("I am the poet.")]
    say(desk, chat, "a poem")
    if not handed:  # whoever took over did so in an answer that is replaced
        model.script = [Answer("I am the desk.")]
        say(desk, chat, "a poem", trigger="regenerate-message")
    for text in (LONG, LONG, "another"):
        say(desk, chat, text)
    assert b"a poem" not in model.requests[-1]
    assert ("poet" if handed else "desk") in speaker(model)


@every_way
def test_an_input_guardrail_refuses_and_keeps_nothing(
    desk: Server, model: StandinModel, ask: Ask
) -> None:
    thread = str(uuid4())
    ask(desk, "hello", thread)
    refused = ask(desk, "pay with 4242424242424242", thread)
    assert refused["error"]["code"] == "guardrail_tripped"
    assert ask(desk, "hello again", thread)["status"] == "completed"
    assert "4242" not in str(model.requests[-1])


@every_way
def test_what_an_output_guardrail_refuses_was_never_told(
    guarded: Server, model: StandinModel, ask: Ask
) -> None:
    thread = str(uuid4())
    model.script = [Answer(("This is ", "the secret", " of all."))]
    refused: dict[str, Any] = ask(guarded, "tell me", thread)
    assert refused["error"]["code"] == "guardrail_tripped"
    assert "secret" not in json.dumps(refused)
    assert text_of(ask(guarded, "My name is Ada", thread))


def test_no_piece_of_a_stream_holds_what_is_refused(guarded: Server, model: StandinModel) -> None:
    model.script = [Answer(("This is ", "the secret", " of all."))]
    assert "the secret" not in guarded.post("tell me", str(uuid4()), stream=True).text


@every_way
def test_a_tool_that_ends_the_turn_is_the_answer(tools: Server, ask: Ask) -> None:
    thread = str(uuid4())
    for _ in range(2):
        assert text_of(ask(tools, "/call receipt", thread)) == "Receipt number 7."


@every_way
def test_a_tool_that_fails_is_not_taken_for_the_workspace(tools: Server, ask: Ask) -> None:
    error = ask(tools, "/call forbidden", str(uuid4()))["error"]
    assert (error["code"], "forbidden" in error["message"]) == ("tool_failed", True)


@every_way
def test_the_model_sees_earlier_answers_as_it_gave_them(
    tools: Server, model: StandinModel, ask: Ask
) -> None:
    thread = str(uuid4())
    model.script = [Answer("One."), Answer("Let me see.", (Call("receipt"),)), Answer("Two.")]
    for text in ("first", "second", "third"):
        ask(tools, text, thread)
    history = json.loads(model.requests[-1])["messages"]
    said = [(m["role"], m.get("content"), len(m.get("tool_calls", ()))) for m in history]
    called = [("assistant", "Let me see.", 1), ("tool", "Receipt number 7.", 0)]
    assert said[:2] == [("user", "first", 0), ("assistant", "One.", 0)]
    assert said[2:5] == [("user", "second", 0), *called]


def test_an_agent_may_be_a_tool(tools: Server, model: StandinModel) -> None:
    body = whole(tools, '/call ask_expert {"input": "My name is Ada"}', str(uuid4()))
    assert [i["type"] for i in body["output"]][:2] == ["function_call", "function_call_output"]
    assert body["status"] == "completed"


def test_an_agent_that_changes_what_it_is_given_does_not_change_the_thread(
    project: Project, model: StandinModel
) -> None:
    thread = str(uuid4())
    parts = [{"type": "input_text", "text": "My name is Ada"}, PICTURE]
    with serve(project, model, CARELESS) as server:
        server.until_ready()
        for content in (parts, "I live in Graz", "mask", "What did I say?"):
            item = {"role": "user", "content": content}
            assert server.post([item], thread).json()["status"] == "completed"
    asked = str(model.requests[-1])
    assert "Ada" in asked and "Graz" in asked and "***" not in asked
