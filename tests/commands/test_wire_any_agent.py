"""Whatever shape an agent's code has: what is written compiles and binds, or it is refused."""

import ast
import inspect
import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakebase_agent.adopt.code.edits.runs import run_edits
from lakebase_agent.adopt.code.reading.calls import find_calls
from lakebase_agent.adopt.code.reading.modules import read_modules
from lakebase_agent.adopt.code.reading.problems import CantWireError
from lakebase_agent.adopt.code.shown import edited_call, to_lines
from lakebase_agent.adopt.code.wire import wire
from lakebase_agent.adopt.existing_agent import examine_agent
from lakebase_agent.adopt.place import Place
from tests.support.existing_agents import app_template, write_agent

pytestmark = pytest.mark.slow
AGENT = "agent_server/agent.py"
PLACE = Place("agent_server/lakebase_memory", "agent_server.lakebase_memory", "", "")


class Graph:
    """What a compiled graph of LangGraph 1.x takes (langgraph/pregel/main.py)."""

    def astream(self, input, config=None, *, context=None, stream_mode=None, **more): ...  # type: ignore[no-untyped-def]

    async def ainvoke(self, input, config=None, *, context=None, stream_mode=None, **more): ...  # type: ignore[no-untyped-def]


class Runner:
    """What the runner of the OpenAI Agents SDK takes (agents/run.py)."""

    @classmethod
    async def run(cls, starting_agent, input, *, context=None, max_turns=10, session=None): ...  # type: ignore[no-untyped-def]

    @classmethod
    def run_streamed(cls, starting_agent, input, *, context=None, max_turns=10, session=None): ...  # type: ignore[no-untyped-def]


TAKES = {
    "astream": Graph.astream, "ainvoke": Graph.ainvoke,
    "run": Runner.run, "run_streamed": Runner.run_streamed,
}  # fmt: skip
BUILDS = {
    "langgraph": (
        ("from langchain.agents import create_agent", "create_agent(model, tools=tools)"),
        ("from langchain.agents import create_agent as make", "make(model, [print,])"),
        ("import langchain.agents as lca", "lca.create_agent(model)"),
        ("from langgraph.graph import StateGraph", "StateGraph(dict).compile(name='g')"),
    ),
    "openai": (
        ("from agents import Agent, Runner", "Agent('a', tools=tools)"),
        ("from agents import Agent as A, Runner as R", "A[str](name='a')"),
        ("import agents", "agents.Agent(name='a', tools=None)"),
    ),
}
RUNNER = {"Agent as A": "R", "import agents": "agents.Runner"}
INPUTS = ("{0}", "input={0}", "({0})")
CONFIGS = ("", "config", "None", "config=config", "config={'tags': [1]}", "config=None")
EXTRA = ("", "stream_mode='values'", "**options", "context=mine", "max_turns=3,", "session=own")
READS = (
    "async for event in {call}:\n    yield event",
    "async for event in shape({call}, 1):\n    yield event",
    "events = {call}\nasync for event in events:\n    yield event",
    "return {call}",
    "return [event async for event in {call}]",
)
AWAITS = (
    "result = await {call}\nreturn result",
    "return (await {call})['messages']",
    "for one in range(2):\n    if one:\n        last = await {call}\nreturn last",
    "try:\n    return await {call}\nexcept OSError:\n    raise",
    "task = start({call})\nreturn await task",
)
SYNC = ("return {call}['messages']", "for event in {call}:\n    print(event)")
HEADS = ("async def handler(request, config=None):", "def handler(request):", "async def f(state):")
NAMES = ("agent", "graph", "my_agent", "self.agent", "turn")


@st.composite
def agents(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a framework, and the text of an agent."""
    framework = draw(st.sampled_from(sorted(BUILDS)))
    imported, build = draw(st.sampled_from(BUILDS[framework]))
    name = draw(st.sampled_from(NAMES))
    call = draw(_langgraph_call(name) if framework == "langgraph" else _openai_call(imported, name))
    method = call.partition("(")[0].rpartition(".")[2]
    bodies: tuple[str, ...] = READS if method in ("astream", "run_streamed") else AWAITS
    bodies = SYNC if method in ("invoke", "stream", "run_sync") else bodies
    if method == "run_streamed":
        bodies = tuple(b.replace("{call}:", "{call}.stream_events():") for b in bodies)
    body = draw(st.sampled_from(bodies)).format(call=call)
    head = draw(st.sampled_from(HEADS))
    text = f'"""It\n  helps."""\n{imported}\nfrom mlflow.genai.agent_server import invoke\n\n'
    where = draw(st.sampled_from(("top", "inside")))
    built = f"{name} = {build}" if "." not in name or where == "inside" else f"x = {build}"
    text += f"{built}\n\n\n" if where == "top" else "\n"
    note = 'text = """\n  as it is\n"""  # yes\n'
    inner = (f"{built}\n" if where == "inside" else "") + note + body
    return framework, text + f"@invoke()\n{head}\n{indent(inner, '    ')}\n"


@st.composite
def _langgraph_call(draw: st.DrawFn, name: str) -> str:
    method = draw(st.sampled_from(("astream", "ainvoke", "invoke", "stream")))
    given_input = draw(st.sampled_from(INPUTS)).format("state")
    config, extra = draw(st.sampled_from(CONFIGS)), draw(st.sampled_from(EXTRA))
    if "=" in given_input and config in ("config", "None"):
        config = ""
    extra = "" if extra.startswith(("max_turns", "session")) else extra
    arguments = [part for part in (given_input, config, extra) if part]
    return f"{name}.{method}({', '.join(arguments)})"


@st.composite
def _openai_call(draw: st.DrawFn, imported: str, name: str) -> str:
    runner = next((value for part, value in RUNNER.items() if part in imported), "Runner")
    method = draw(st.sampled_from(("run", "run_streamed", "run_sync")))
    extra = draw(st.sampled_from(EXTRA))
    extra = "" if extra.startswith("stream_mode") else extra
    arguments = [name, draw(st.sampled_from(INPUTS)).format("items"), extra]
    return f"{runner}.{method}({', '.join(part for part in arguments if part)})"


def runs_in(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that run an agent in a turn."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            in_turn = "turn" in ast.unparse(node) and "to_input" in ast.unparse(node)
            if node.func.attr in TAKES and in_turn:
                yield node


def texts_in(tree: ast.AST) -> set[str]:
    """Return the texts in quotes."""
    values = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {value for value in values if isinstance(value, str)}


def binds(call: ast.Call) -> None:
    """Fail if a call does not fit what it calls."""
    assert isinstance(call.func, ast.Attribute)
    function: Any = TAKES[call.func.attr]
    values = [None] * (len(call.args) + (call.func.attr in ("astream", "ainvoke")))
    words = [word.arg for word in call.keywords]
    assert len(words) == len(set(words)), ast.unparse(call)
    inspect.signature(function).bind(*values, **dict.fromkeys(filter(None, words)))
    assert any(word.arg == "context" for word in call.keywords), ast.unparse(call)


def modules_of(framework: str, text: str, folder: Path) -> Any:
    files = {**app_template(framework), AGENT: text}
    return examine_agent(write_agent(folder, files, in_git=False), framework)


@settings(max_examples=300, deadline=None)
@given(agents())
def test_what_is_wired_compiles_and_binds_or_is_refused(drawn: tuple[str, str]) -> None:
    framework, text = drawn
    with tempfile.TemporaryDirectory() as folder:
        agent = modules_of(framework, text, Path(folder) / "a")
        answers = {"framework": framework, "memory": ["short_term", "long_term"]}
        wired = wire(agent, answers, PLACE)
    if wired.problems:
        assert all(problem.startswith(AGENT) or "no call" in problem for problem in wired.problems)
        return
    tree = ast.parse(wired.files[AGENT])
    compile(tree, AGENT, "exec")
    assert len(list(runs_in(tree))) == 1
    for call in runs_in(tree):
        binds(call)
    assert texts_in(ast.parse(text)) <= texts_in(tree)
    assert "# yes" in wired.files[AGENT]


@settings(max_examples=300, deadline=None)
@given(agents())
def test_what_is_printed_compiles_and_binds_or_is_refused(drawn: tuple[str, str]) -> None:
    framework, text = drawn
    with tempfile.TemporaryDirectory() as folder:
        modules = read_modules(modules_of(framework, text, Path(folder) / "a"))
    for site in find_calls(modules, framework).runs:
        try:
            edits = run_edits(site, framework, "turn")
        except CantWireError:
            continue
        lines = to_lines(edited_call(site.module.code, site.call, edits))
        tree = ast.parse("async def told():\n" + indent("\n".join(lines), "    "))
        [call] = runs_in(tree)
        binds(call)
