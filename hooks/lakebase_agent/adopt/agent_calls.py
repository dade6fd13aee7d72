"""Where an existing agent is built and run, and what these calls are with memory."""

import ast
from collections.abc import Iterator, Mapping

from lakebase_agent.adopt.existing_agent import IMPORTS, ExistingAgent

BUILDERS = {"langgraph": {"create_agent", "create_react_agent", "compile"}, "openai": {"Agent"}}
RUNNERS = {
    "langgraph": {"astream", "ainvoke", "astream_events", "invoke", "stream"},
    "openai": {"run", "run_streamed", "run_sync"},
}
ASYNC_TWINS = {"invoke": "ainvoke", "stream": "astream", "run_sync": "run"}
WIDTH = 76  # of a terminal of 80 columns, four of them before the code
# Where nothing of the owner's can be quoted.
EXAMPLES = {
    "langgraph": ("create_agent(model, tools=tools)", "agent.ainvoke(messages)"),
    "openai": ("Agent(name='Agent', tools=tools)", "Runner.run(agent, items)"),
}
Found = tuple[str, ast.Call]  # where, such as "agent_server/agent.py:41: ", and what


def find_calls(found: ExistingAgent, framework: str) -> tuple[list[Found], list[Found]]:
    """Return where the project builds its agent, and where it runs it; else how one would."""
    builds, runs = [], []
    for source in found.sources:
        if not source.imports & IMPORTS[framework]:
            continue
        for call in _calls_in(source.tree):
            where = f"{source.path}:{call.lineno}: "
            builds += [(where, call)] if name_of(call) in BUILDERS[framework] else []
            runs += [(where, call)] if _runs(call, framework) else []
    build, run = (
        [("", call)] for text in EXAMPLES[framework] for call in _calls_in(ast.parse(text))
    )
    return builds or build, runs or run


def _calls_in(tree: ast.Module) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _runs(call: ast.Call, framework: str) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in RUNNERS[framework]:
        return False
    owner = call.func.value
    name = owner.id if isinstance(owner, ast.Name) else ""
    return name == "Runner" if framework == "openai" else "agent" in name or "graph" in name


def to_build(call: ast.Call, framework: str, long_term: bool) -> ast.Call:
    """Return the call that builds an agent, with its memory."""
    keywords = {word.arg: word.value for word in call.keywords}
    if long_term and name_of(call) != "compile":
        old = keywords.get("tools")
        tools = f"[*{ast.unparse(old)}, *memory_tools()]" if old else "memory_tools()"
        if isinstance(old, ast.List):
            inner = ", ".join([*(ast.unparse(item) for item in old.elts), "*memory_tools()"])
            tools = f"[{inner}]"
        keywords["tools"] = _expression(tools)
    if framework == "langgraph":
        keywords["checkpointer"] = _expression("turn.checkpointer")
        keywords["store"] = _expression("turn.store")
    return _rebuilt(call.func, call.args, keywords)


def to_run(call: ast.Call, framework: str) -> ast.Call:
    """Return the call that runs an agent, in a turn."""
    keywords = {word.arg: word.value for word in call.keywords if word.arg != "session"}
    place = 0 if framework == "langgraph" else 1
    arguments = list(call.args)
    given = arguments[place] if len(arguments) > place else keywords.get("input")
    sent = _expression(f"await turn.to_input({ast.unparse(given) if given else 'messages'})")
    if len(arguments) > place:
        arguments[place] = sent
    else:
        keywords["input"] = sent
    if framework == "langgraph":
        config = keywords.get("config")
        merged = f"{{**({ast.unparse(config)}), **turn.config}}" if config else "turn.config"
        keywords["config"] = _expression(merged)
    keywords["context"] = _expression("turn.user" if framework == "langgraph" else "turn.context")
    function = call.func
    if isinstance(function, ast.Attribute):
        twin = ASYNC_TWINS.get(function.attr, function.attr)
        function = ast.Attribute(function.value, twin)
    return _rebuilt(function, arguments, keywords)


def to_lines(call: ast.Call, before: str = "") -> list[str]:
    """Return a call as code, an argument a line where it is long."""
    text = before + ast.unparse(call)
    if len(text) <= WIDTH:
        return [text]
    inside = [*call.args, *call.keywords]
    return [
        f"{before}{ast.unparse(call.func)}(",
        *(f"    {ast.unparse(part)}," for part in inside),
        ")",
    ]


def _rebuilt(
    function: ast.expr, arguments: list[ast.expr], keywords: Mapping[str | None, ast.expr]
) -> ast.Call:
    rest = sorted(keywords.items(), key=lambda word: word[0] is None)  # **more comes last
    return ast.Call(function, arguments, [ast.keyword(name, value) for name, value in rest])


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def attribute_of(call: ast.Call) -> str:
    """Return the name of the method that is called; empty for a function."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def name_of(call: ast.Call) -> str:
    """Return the name of what is called."""
    if name := attribute_of(call):
        return name
    return str(call.func.id) if isinstance(call.func, ast.Name) else ""
