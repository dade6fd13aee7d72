"""Where an existing agent is built and run, and what these calls look like with memory."""

import ast
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lakebase_agent.adopt.existing_agent import IMPORTS, ExistingAgent

BUILDERS = {"langgraph": {"create_agent", "create_react_agent", "compile"}, "openai": {"Agent"}}
RUNNERS = {
    "langgraph": {"astream", "ainvoke", "astream_events", "invoke", "stream"},
    "openai": {"run", "run_streamed", "run_sync"},
}
ASYNC_NAMES = {"invoke": "ainvoke", "stream": "astream", "run_sync": "run"}
WIDTH = 76  # of a terminal of 80 columns, four of them before the code
# Shown if the agent's own calls are not found.
BUILD_EXAMPLES = {
    "langgraph": "create_agent(model, tools=tools)",
    "openai": "Agent(name='Agent', tools=tools)",
}
RUN_EXAMPLES = {
    "langgraph": "agent.ainvoke(messages)",
    "openai": "Runner.run(agent, items)",
}


class LocatedCall(NamedTuple):
    """A call, and where it is, such as "agent_server/agent.py:41"; empty for an example."""

    where: str
    call: ast.Call


class AgentCalls(NamedTuple):
    """The calls that build an agent, and those that run it."""

    builds: list[LocatedCall]
    runs: list[LocatedCall]


def find_calls(agent: ExistingAgent, framework: str) -> AgentCalls:
    """Return where the project builds and runs its agent; examples if that is not found."""
    found = AgentCalls([], [])
    for source in agent.sources:
        if not source.imports & IMPORTS[framework]:
            continue
        for call in _calls_in(source.tree):
            located = LocatedCall(f"{source.path}:{call.lineno}", call)
            if name_of(call) in BUILDERS[framework]:
                found.builds.append(located)
            if _runs_agent(call, framework):
                found.runs.append(located)
    return AgentCalls(
        found.builds or [_example(BUILD_EXAMPLES[framework])],
        found.runs or [_example(RUN_EXAMPLES[framework])],
    )


def _example(text: str) -> LocatedCall:
    return LocatedCall("", next(_calls_in(ast.parse(text))))


def _calls_in(tree: ast.Module) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _runs_agent(call: ast.Call, framework: str) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in RUNNERS[framework]:
        return False
    owner = call.func.value
    name = owner.id if isinstance(owner, ast.Name) else ""
    return name == "Runner" if framework == "openai" else "agent" in name or "graph" in name


def to_build(call: ast.Call, framework: str, long_term: bool) -> ast.Call:
    """Return the call that builds an agent, with its memory."""
    keywords = {word.arg: word.value for word in call.keywords}
    if long_term and name_of(call) != "compile":
        keywords["tools"] = _with_memory_tools(keywords.get("tools"))
    if framework == "langgraph":
        keywords["checkpointer"] = _expression("turn.checkpointer")
        keywords["store"] = _expression("turn.store")
    return _call(call.func, call.args, keywords)


def _with_memory_tools(tools: ast.expr | None) -> ast.expr:
    if tools is None:
        return _expression("memory_tools()")
    own = tools.elts if isinstance(tools, ast.List) else [ast.Starred(tools)]
    return ast.List([*own, ast.Starred(_expression("memory_tools()"))])


def to_run(call: ast.Call, framework: str) -> ast.Call:
    """Return the call that runs an agent, in a turn."""
    keywords = {word.arg: word.value for word in call.keywords if word.arg != "session"}
    arguments = list(call.args)
    position = 0 if framework == "langgraph" else 1  # of the input
    if len(arguments) > position:
        arguments[position] = _turn_input(arguments[position])
    else:
        keywords["input"] = _turn_input(keywords.get("input"))
    if framework == "langgraph":
        keywords["config"] = _turn_config(keywords.get("config"))
    keywords["context"] = _expression("turn.user" if framework == "langgraph" else "turn.context")
    return _call(_awaitable(call.func), arguments, keywords)


def _turn_input(given: ast.expr | None) -> ast.expr:
    return _expression(f"await turn.to_input({ast.unparse(given) if given else 'messages'})")


def _turn_config(given: ast.expr | None) -> ast.expr:
    if given is None:
        return _expression("turn.config")
    return _expression(f"{{**({ast.unparse(given)}), **turn.config}}")


def _awaitable(function: ast.expr) -> ast.expr:
    if not isinstance(function, ast.Attribute):
        return function
    return ast.Attribute(function.value, ASYNC_NAMES.get(function.attr, function.attr))


def to_lines(call: ast.Call, before: str = "") -> list[str]:
    """Return `before` and a call as code, with one argument per line if it is too long."""
    text = before + ast.unparse(call)
    if len(text) <= WIDTH:
        return [text]
    arguments = [*call.args, *call.keywords]
    return [
        f"{before}{ast.unparse(call.func)}(",
        *(f"    {ast.unparse(argument)}," for argument in arguments),
        ")",
    ]


def _call(
    function: ast.expr, arguments: list[ast.expr], keywords: Mapping[str | None, ast.expr]
) -> ast.Call:
    ordered = sorted(keywords.items(), key=lambda word: word[0] is None)  # **others come last
    return ast.Call(function, arguments, [ast.keyword(name, value) for name, value in ordered])


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def attribute_of(call: ast.Call) -> str:
    """Return the name of the method that is called; empty for a function."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def name_of(call: ast.Call) -> str:
    """Return the name of the function or method that is called; empty if it has none."""
    if name := attribute_of(call):
        return name
    return str(call.func.id) if isinstance(call.func, ast.Name) else ""
