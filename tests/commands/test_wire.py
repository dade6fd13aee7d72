"""`lakebase-agent adopt --wire`: the agent's own code, connected by edits."""

import ast
from pathlib import Path

import pytest

from tests.support.agents_with_memory import with_memory
from tests.support.existing_agents import adopted, app_template, run, write_agent
from tests.support.releases import commit, git
from tests.support.rendering import FRAMEWORKS

AGENT = "agent_server/agent.py"
FLAGS = ("--lakebase", "autoscaling")


def wired(folder: Path, template: Path, files: dict[str, str], *flags: str) -> str:
    """Write a project, adopt and wire it, and return its agent.py."""
    adopted(write_agent(folder, files), template, "--wire", *flags)
    text = (folder / AGENT).read_text()
    ast.parse(text)
    return text


@pytest.fixture(scope="module", params=FRAMEWORKS)
def advanced(
    request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a wired project that had a memory of its own."""
    folder = tmp_path_factory.mktemp("advanced") / request.param
    wired(folder, template, with_memory(request.param))
    return folder


def test_a_turn_is_opened_around_the_run_of_an_agent(template: Path, tmp_path: Path) -> None:
    text = wired(tmp_path / "a", template, app_template("langgraph"), *FLAGS)
    assert (
        "    async with open_turn(get_request_headers(), thread_id_of(request)) as turn:\n" in text
    )
    assert "turn.graph(agent).astream(" in text
    assert "tools=[*tools, *memory_tools()]" in text
    assert "from mlflow.genai.agent_server import get_request_headers, invoke, stream\n" in text
    assert "        async for event in turn" in text


def test_an_answer_is_saved_where_it_is_awaited(template: Path, tmp_path: Path) -> None:
    text = wired(tmp_path / "a", template, app_template("openai"), *FLAGS)
    call = "Runner.run(agent, await turn.to_input(messages), context=turn.context)"
    assert f"result = await turn.save(await {call})" in text


def test_the_turn_takes_the_place_of_a_memory_of_its_own(advanced: Path) -> None:
    text = (advanced / AGENT).read_text()
    gone = ("AsyncDatabricksSession", "borrow_memory", "facts_of()]", "session=session", ".setup()")
    assert [name for name in gone if name in text] == []
    assert "memory_tools()" in text
    thread = "session_id" if "Runner" in text else "thread"
    assert f"async with open_turn(get_request_headers(), {thread}) as turn:" in text


def test_what_starts_the_server_opens_no_memory_any_more(advanced: Path) -> None:
    text = (advanced / "agent_server/start_server.py").read_text()
    ast.parse(text)
    gone = ("open_memory", "keep_open", "setup()", "state.store")
    assert [name for name in gone if name in text] == []
    if "lifespan" in text:
        assert '        print("ready")\n' in text
        assert "        async with original(app):\n            yield\n" in text


def test_a_text_in_quotes_keeps_its_indentation(advanced: Path) -> None:
    text = (advanced / AGENT).read_text()
    assert "try again" not in text or '  (try again)\n"""' in text
    assert "Answer." not in text or "    Every event, as it comes.\n" in text


def test_its_own_config_is_kept_but_for_the_thread(advanced: Path) -> None:
    text = (advanced / AGENT).read_text()
    call = "turn.graph(agent).astream(await turn.to_input(state), turn.config_with(config), "
    assert call in text or "Runner" in text
    assert 'config["configurable"]["store"] = store' in text or "Runner" in text


def test_a_stream_of_openai_is_saved_when_it_was_read(advanced: Path) -> None:
    text = (advanced / AGENT).read_text()
    read = "            yield event\n        await turn.save(result)\n"
    assert read in text or "Runner" not in text


def test_a_second_run_changes_nothing(advanced: Path, template: Path) -> None:
    commit(advanced)
    assert "nothing to do" in adopted(advanced, template, "--wire")


def test_without_wire_no_line_of_the_agent_changes(template: Path, tmp_path: Path) -> None:
    folder = write_agent(tmp_path / "a", with_memory("langgraph"))
    said = adopted(folder, template)
    assert git(folder, "status", "--porcelain", "--", "agent_server/*.py") == ""
    assert "It has a memory of its own" in said
    assert "agent_server/recall.py:26 open_memory" in said
    assert "lakebase-agent adopt --wire" in said


def test_it_can_be_wired_after_it_was_adopted(template: Path, tmp_path: Path) -> None:
    folder = write_agent(tmp_path / "a", app_template("openai"))
    adopted(folder, template, *FLAGS)
    commit(folder)
    adopted(folder, template, "--wire")
    assert "open_turn(" in (folder / AGENT).read_text()


POSITIONS = {
    "a positional config": ("agent.astream(state, config)", "turn.config_with(config)"),
    "a written config": (
        'agent.astream(state, {"tags": ["x"]}, stream_mode="values")',
        'turn.config_with({"tags": ["x"]}), stream_mode="values", context=turn.user)',
    ),
    "a config by name": ("agent.astream(input=state, config=c)", "config=turn.config_with(c)"),
    "no config": ("agent.astream(state,)", "(await turn.to_input(state), config=turn.config, "),
    "none": ("agent.astream(state, None)", "(await turn.to_input(state), turn.config, "),
}


@pytest.mark.parametrize("shape", POSITIONS)
def test_a_config_is_found_wherever_it_is_given(template: Path, tmp_path: Path, shape: str) -> None:
    call, expected = POSITIONS[shape]
    old = 'agent.astream(input=messages, stream_mode=["updates"])'
    files = app_template("langgraph")
    files[AGENT] = files[AGENT].replace(old, call)
    folder = write_agent(tmp_path / "a", files)
    said = adopted(folder, template, *FLAGS)
    assert "config=turn.config," not in said or "config_with" not in said
    commit(folder)
    adopted(folder, template, "--wire")
    assert expected in (folder / AGENT).read_text()


REFUSED = {
    "agent.astream(state, **options)": "it can't be seen which arguments options holds",
    "agent.astream(*state)": "it can't be seen which arguments state holds",
    "agent.astream(state, context=mine)": "it has a context of its own",
    "agent.astream()": "it can't be seen what its input is",
}


@pytest.mark.parametrize("call", REFUSED)
def test_a_call_that_edits_can_not_connect_is_refused_and_left(
    template: Path, tmp_path: Path, call: str
) -> None:
    old = 'agent.astream(input=messages, stream_mode=["updates"])'
    files = app_template("langgraph")
    files[AGENT] = files[AGENT].replace(old, call)
    folder = write_agent(tmp_path / "a", files)
    done = run(folder, template, "--wire", *FLAGS)
    assert (done.returncode, f"{AGENT}:38: {REFUSED[call]}" in done.stderr) == (2, True), (
        done.stderr
    )
    assert git(folder, "status", "--porcelain") == ""
