"""`lakebase-agent adopt --wire`: the agent's own code, connected by edits."""

import ast
import re
import shlex
import sys
from pathlib import Path

import pytest

from lakebase_agent.adopt.code.reading.modules import read_modules
from lakebase_agent.adopt.code.reading.own_memory import find_own_memory
from lakebase_agent.adopt.code.wire import Wired, wire
from lakebase_agent.adopt.existing_agent import examine_agent
from lakebase_agent.adopt.place import Place
from tests.support.agents_with_memory import with_memory
from tests.support.existing_agents import adopted, app_template, run, write_agent
from tests.support.releases import commit, git
from tests.support.rendering import FRAMEWORKS

AGENT = "agent_server/agent.py"
ITS_RUN = 'agent.astream(input=messages, stream_mode=["updates"])'
PLACE = Place("agent_server/lakebase_memory", "agent_server.lakebase_memory", "", "")
FLAGS = ("--lakebase", "autoscaling")


def wired(folder: Path, files: dict[str, str], framework: str) -> Wired:
    """Write a project, and return what wiring makes of it."""
    agent = examine_agent(write_agent(folder, files, in_git=False))
    result = wire(agent, {"framework": framework, "memory": ["short_term", "long_term"]}, PLACE)
    for text in result.files.values():
        compile(text, "wired", "exec")
    return result


def flat(text: str) -> str:
    """Return code in one line, without the commas that come last."""
    text = re.sub(r"([(\[])\s+", r"\1", re.sub(r"\s+", " ", text))
    return re.sub(r",?\s*([)\]])", r"\1", text)


def with_run(call: str) -> dict[str, str]:
    """Return the files of an agent that is run by a call."""
    files = app_template("langgraph")
    files[AGENT] = files[AGENT].replace(ITS_RUN, call)
    return files


@pytest.fixture(scope="module", params=FRAMEWORKS)
def advanced(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Return the files of a project that had a memory of its own, wired."""
    folder = tmp_path_factory.mktemp("advanced") / str(request.param)
    files = with_memory(str(request.param))
    result = wired(folder, files, str(request.param))
    assert result.problems == []
    return {**files, **result.files}


def test_a_turn_is_opened_around_the_run_of_an_agent(tmp_path: Path) -> None:
    text = wired(tmp_path / "a", app_template("langgraph"), "langgraph").files[AGENT]
    turn = "open_turn(get_request_headers(), thread_id_of(request)) as turn"
    assert f"    async with {turn}:\n        async for event in turn.graph(agent).astream(" in text
    assert "tools=[*tools, *memory_tools()]" in text
    assert "from mlflow.genai.agent_server import get_request_headers, invoke, stream\n" in text


def test_an_answer_is_saved_where_it_is_awaited(tmp_path: Path) -> None:
    text = wired(tmp_path / "a", app_template("openai"), "openai").files[AGENT]
    call = "Runner.run(agent, await turn.to_input(messages), context=turn.context)"
    assert f"result = await turn.save(await {call})" in flat(text)


def test_the_turn_takes_the_place_of_a_memory_of_its_own(advanced: dict[str, str]) -> None:
    text = advanced[AGENT]
    gone = ("AsyncDatabricksSession", "borrow_memory", "facts_of()]", "session=session", ".setup()")
    assert [name for name in gone if name in text] == []
    assert "memory_tools" in text
    thread = "session_id" if "Runner" in text else "thread"
    assert f"async with open_turn(get_request_headers(), {thread}) as turn:" in text


def test_what_starts_the_server_opens_no_memory_any_more(advanced: dict[str, str]) -> None:
    text = advanced["agent_server/start_server.py"]
    ast.parse(text)
    gone = ("open_memory", "keep_open", "setup()", "state.store")
    assert [name for name in gone if name in text] == []
    if "lifespan" in text:
        assert '        print("ready")\n' in text
        assert "        async with original(app):\n            yield\n" in text


def test_a_text_in_quotes_keeps_its_indentation(advanced: dict[str, str]) -> None:
    text = advanced[AGENT]
    assert "try again" not in text or '  (try again)\n"""' in text
    assert "Answer." not in text or "    Every event, as it comes.\n" in text


def test_its_own_config_is_kept_but_for_the_thread(advanced: dict[str, str]) -> None:
    text = advanced[AGENT]
    call = "turn.graph(agent).astream(await turn.to_input(state), turn.config_with(config), "
    assert call in flat(text) or "Runner" in text
    assert 'config["configurable"]["store"] = store' in text or "Runner" in text


def test_a_stream_of_openai_is_saved_when_it_was_read(advanced: dict[str, str]) -> None:
    text = advanced[AGENT]
    read = "            yield event\n        await turn.save(result)\n"
    assert read in text or "Runner" not in text


def test_what_is_wired_is_not_wired_again(advanced: dict[str, str], tmp_path: Path) -> None:
    framework = "openai" if "Runner" in advanced[AGENT] else "langgraph"
    again = wired(tmp_path / "a", advanced, framework)
    assert (again.connected, again.files) == (True, {})


def test_without_wire_no_line_of_the_agent_changes(template: Path, tmp_path: Path) -> None:
    folder = write_agent(tmp_path / "a", with_memory("langgraph"))
    said = adopted(folder, template)
    assert git(folder, "diff", "--name-only", "--", "agent_server") == ""
    assert "It has a memory of its own" in said
    assert re.search(r"agent_server/recall.py:\d+ open_memory\n", said)
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
def test_a_config_is_found_wherever_it_is_given(tmp_path: Path, shape: str) -> None:
    call, expected = POSITIONS[shape]
    result = wired(tmp_path / "a", with_run(call), "langgraph")
    assert (result.problems, expected in flat(result.files[AGENT])) == ([], True)


REFUSED = {
    "agent.astream(state, **options)": "it can't be seen which arguments options holds",
    "agent.astream(*state)": "it can't be seen which arguments state holds",
    "agent.astream(state, context=mine)": "it has a context of its own",
    "agent.astream()": "it can't be seen what its input is",
}


@pytest.mark.parametrize("call", REFUSED)
def test_a_call_that_edits_can_not_connect_is_refused(tmp_path: Path, call: str) -> None:
    [problem] = wired(tmp_path / "a", with_run(call), "langgraph").problems
    assert problem.startswith(f"{AGENT}:36: {REFUSED[call]}")


def test_a_project_that_is_refused_is_left_alone(template: Path, tmp_path: Path) -> None:
    folder = write_agent(tmp_path / "a", with_run("agent.astream(*all)"))
    done = run(folder, template, "--wire", *FLAGS)
    assert (done.returncode, "Without --wire" in done.stderr) == (2, True)
    assert git(folder, "status", "--porcelain") == ""


def with_langgraph(folder: Path, parameters: str) -> None:
    """Give a project an environment in which LangGraph's `astream` takes parameters."""
    package = folder / ".venv" / "packages" / "langgraph"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "pregel.py").write_text(f"class Pregel:\n    def astream({parameters}): ...\n")
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir()
    place = shlex.quote(str(package.parent))
    python.write_text(f'#!/bin/sh\nPYTHONPATH={place} exec {sys.executable} "$@"\n')
    python.chmod(0o755)


@pytest.mark.slow
def test_a_call_that_the_installed_packages_do_not_take_is_refused(
    template: Path, tmp_path: Path
) -> None:
    folder = write_agent(tmp_path / "a", app_template("langgraph"))
    with_langgraph(folder, "self, input, config=None, *, stream_mode=None")
    done = run(folder, template, *FLAGS)
    assert (done.returncode, "unexpected keyword argument 'context'" in done.stderr) == (2, True)
    assert git(folder, "status", "--porcelain") == ""


def test_a_call_that_the_installed_packages_take_is_printed(template: Path, tmp_path: Path) -> None:
    folder = write_agent(tmp_path / "a", app_template("langgraph"))
    with_langgraph(folder, "self, input, config=None, *, context=None, stream_mode=None")
    assert "turn.graph(agent).astream(" in adopted(folder, template, *FLAGS)


WEB = """\
from fastapi import FastAPI, Request, WebSocket
from langchain.agents import create_agent as make
from pydantic import BaseModel
{more}
agent = make("any", {tools})


class ChatRequest(BaseModel):
    question: str


async def ask({parameters}, thread_id: str | None = None):
    return {call}
"""


def of_web(**parts: str) -> dict[str, str]:
    """Return the files of an agent behind a route of FastAPI."""
    usual = {"parameters": "web: Request", "call": "await agent.ainvoke([])", "tools": "[]"}
    files = app_template("langgraph") | {"agent_server/start_server.py": ""}
    return {**files, AGENT: WEB.format(**{"more": "", **usual, **parts})}


def web(folder: Path, **parts: str) -> str:
    """Return what wiring makes of such a file."""
    result = wired(folder, of_web(**parts), "langgraph")
    assert result.problems == []
    return flat(result.files[AGENT])


NODE = "from langgraph.prebuilt import ToolNode\n\nnode = ToolNode([print], name='n')\n"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"tools": "TOOLS"}, 'make("any", [*TOOLS, *memory_tools()])'),
        ({"tools": "node", "more": NODE}, "ToolNode([print, *memory_tools()], name='n')"),
    ],
    ids=["by position", "in a node"],
)
def test_tools_are_added_where_an_agent_has_its_own(
    tmp_path: Path, parts: dict[str, str], expected: str
) -> None:
    text = web(tmp_path / "a", **parts)
    assert (expected in text, text.count("memory_tools()")) == (True, 1)


@pytest.mark.parametrize("given", ["body: ChatRequest, web: Request", "web: 'WebSocket'"])
def test_the_user_is_the_one_of_the_http_request(tmp_path: Path, given: str) -> None:
    assert "open_turn(web.headers, thread_id)" in web(tmp_path / "a", parameters=given)


def test_the_body_of_a_request_names_no_user(tmp_path: Path) -> None:
    files = of_web(parameters="request: ChatRequest")
    [problem] = wired(tmp_path / "a", files, "langgraph").problems
    assert "no request is there to say who asks" in problem


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("await agent.aget_state(c)", "await turn.graph(agent).aget_state(turn.config_with(c))"),
        ("agent.get_state(c).next", "(await turn.graph(agent).aget_state(turn.config_with(c)))"),
        ("await agent.with_config(tags=[]).ainvoke([])", "turn.graph(agent.with_config(tags=[]))"),
    ],
)
def test_the_state_of_a_thread_is_that_of_the_turn(
    tmp_path: Path, call: str, expected: str
) -> None:
    assert expected in web(tmp_path / "a", call=call)


def test_a_run_that_is_handed_on_is_refused(tmp_path: Path) -> None:
    files = of_web(call="await agent.ainvoke([]), to_thread(agent.invoke, [])")
    [problem] = wired(tmp_path / "a", files, "langgraph").problems
    assert problem.startswith(f"{AGENT}:13: agent.invoke is handed on")


@pytest.mark.parametrize("imported", ["from .it import bot", "from agent_server import it"])
def test_a_run_is_found_in_a_file_that_only_imports_the_agent(
    tmp_path: Path, imported: str
) -> None:
    name = "bot" if imported.endswith("bot") else "it.bot"
    runs = f"from fastapi import Request\n{imported}\n\n\nasync def ask(web: Request, thread):\n"
    builds = "from langchain.agents import create_agent\n\nbot = create_agent('any')\n"
    files = {**of_web(), AGENT: f"{runs}    return await {name}.ainvoke([])\n"}
    result = wired(tmp_path / "a", {**files, "agent_server/it.py": builds}, "langgraph")
    assert f"turn.graph({name}).ainvoke(" in result.files[AGENT]


SAVER = """\
from langchain.agents import create_agent
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver


async def lifespan(app):
    async with AsyncPostgresSaver.from_conn_string("postgresql:") as saver:
        await saver.setup()
        app.state.agent = create_agent("any", checkpointer=saver)
        {more}
        yield


async def ask(request, thread):
    return await request.app.state.agent.ainvoke([])
"""


def test_an_agent_that_is_built_with_a_memory_at_the_start_is_kept(tmp_path: Path) -> None:
    files = of_web() | {AGENT: SAVER.format(more="print()")}
    text = wired(tmp_path / "a", files, "langgraph").files[AGENT]
    assert "AsyncPostgresSaver" not in text
    build = 'app.state.agent = create_agent("any", checkpointer=None, tools=memory_tools())'
    assert f"    {build}\n    print()\n    yield\n" in text


def test_what_else_is_made_of_a_memory_at_the_start_is_not_dropped(tmp_path: Path) -> None:
    files = of_web() | {AGENT: SAVER.format(more="app.state.service = Service(saver)")}
    [problem] = wired(tmp_path / "a", files, "langgraph").problems
    assert problem.startswith(f"{AGENT}:6: a memory of your own is opened here")


def test_what_stands_in_the_way_of_the_lines_is_printed_first(
    template: Path, tmp_path: Path
) -> None:
    call = "[event for event in agent.stream([])]"
    said = adopted(write_agent(tmp_path / "a", of_web(call=call)), template, *FLAGS)
    first = said.partition("takes more than edits of its lines:")[2].partition("Now connect")[0]
    assert f"{AGENT}:13: its stream is not read by a loop here" in first


INNER = """\
from fastapi import Request
from langchain.agents import create_agent
from langgraph.graph import StateGraph

poet = create_agent("any", tools=[])


async def write(state):
    return await poet.ainvoke(state)


graph = StateGraph(dict).add_node("write", {node}).compile()


async def ask(web: Request, thread: {kind}):
    return await graph.ainvoke([], {{"configurable": {{"thread_id": {thread}}}}})
"""


LAMBDA = "write).add_node('other', lambda state: poet.invoke(state)"


@pytest.mark.parametrize("node", ["write", LAMBDA])
def test_an_agent_that_a_node_runs_is_in_the_turn_of_its_graph(tmp_path: Path, node: str) -> None:
    text = INNER.format(node=node, kind="str", thread="thread")
    result = wired(tmp_path / "a", of_web() | {AGENT: text}, "langgraph")
    assert result.problems == []
    assert "return await poet.ainvoke(state)" in result.files[AGENT]
    assert result.files[AGENT].count("turn.graph(") == 1


def test_a_thread_that_is_made_text_is_given_as_text(tmp_path: Path) -> None:
    text = INNER.format(node="write", kind="uuid.UUID", thread="str(thread)")
    result = wired(tmp_path / "a", of_web() | {AGENT: text}, "langgraph")
    assert "open_turn(web.headers, str(thread)) as turn" in result.files[AGENT]


def test_a_memory_that_no_statement_opens_is_told_all_the_same(tmp_path: Path) -> None:
    more = (
        "from databricks_langchain import AsyncCheckpointSaver\n\nsaver = AsyncCheckpointSaver()\n"
    )
    agent = examine_agent(write_agent(tmp_path / "a", of_web(more=more), in_git=False))
    assert find_own_memory(read_modules(agent)).lines == [f"{AGENT}:6 opens it"]


DESK = """\
from agents import Agent, Runner, function_tool
from agents.extensions.memory import SQLAlchemySession
from fastapi import Request

poet = Agent("poet")


@function_tool
async def write(own, text):
    return await Runner.run(poet, text{context})


desk = Agent("desk", tools=[write])


async def ask(web: Request, thread):
    session = SQLAlchemySession.from_url(thread, url="postgresql:")
    return await Runner.run(desk, "hi", session=session, context=None)
"""


def test_an_agent_that_a_tool_runs_has_the_context_of_its_call(tmp_path: Path) -> None:
    files = app_template("openai") | {AGENT: DESK.format(context=", context=own.context")}
    result = wired(tmp_path / "a", files, "openai")
    text = result.files[AGENT]
    assert (result.problems, "from_url" in text) == ([], False)
    assert "Runner.run(poet, text, context=own.context)" in text
    assert 'to_input("hi"), session=None, context=turn.context' in flat(text)


def test_an_agent_that_a_tool_runs_without_a_context_is_refused(tmp_path: Path) -> None:
    files = app_template("openai") | {AGENT: DESK.format(context="")}
    [problem] = wired(tmp_path / "a", files, "openai").problems
    assert problem.startswith(f"{AGENT}:10: a tool runs an agent")


def test_tools_of_the_same_name_are_not_taken_for_those_of_the_memory(tmp_path: Path) -> None:
    more = "\n\ndef memory_tools():\n    return []\n"
    files = of_web(more=more, tools="memory_tools()")
    [problem] = wired(tmp_path / "a", files, "langgraph").problems
    assert "memory_tools means something else there" in problem
