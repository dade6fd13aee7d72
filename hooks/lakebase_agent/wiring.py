"""The lines with which an owner connects their agent to the memory, in terms of their own code."""

import ast
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lakebase_agent.existing_agent import IMPORTS, App, ExistingAgent
from lakebase_agent.memory_modules import Place

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


def wiring(
    found: ExistingAgent, answers: Mapping[str, Any], place: Place, app: App | None
) -> list[str]:
    """Return what is left to do by hand, line by line."""
    framework, long_term = str(answers["framework"]), "long_term" in answers["memory"]
    builds, runs = _calls(found, framework)
    lines = ["Now connect your agent. Import:", ""]
    lines += _code(_imports(found, place, long_term))
    lines += ["", "Around each turn:", ""]
    lines += _code([f"async with open_turn({_request(found)}) as turn:", "    ..."])
    lines += ["", *_about_threads(found)]
    for where, call in builds:
        lines += ["", f"{where}build the agent in that block (pass it `turn`), with", ""]
        lines += _code(_lines(_build(call, framework, long_term)))
        if long_term and _name(call) == "compile":
            lines += ["", "and give memory_tools() to its model and to its node of tools."]
    for where, call in runs:
        lines += ["", f"{where}run it in that block, with", ""]
        awaited = "await " if _attribute(call) in ("invoke", "run_sync") else ""
        lines += _code(_lines(_run(call, framework), awaited))
        if any(word.arg == "context" for word in call.keywords):
            lines += ["", "Its own context goes: memory_tools() read the one above."]
    if framework == "openai":
        lines += ["", "and still in it, when the run has ended (a stream: has been read), with", ""]
        lines += _code(["await turn.save(result)"])
    return [*lines, "", *_then(found, answers, place, app)]


def _about_threads(found: ExistingAgent) -> list[str]:
    if _by_mlflow(found):
        named = "A request that names no custom_inputs.thread_id starts a thread, whose name is"
    else:
        named = "`request` is that of HTTP. An empty `thread_id` starts a thread, whose name is"
    return [named, "turn.thread_id: tell it to the client, which goes on by sending it again."]


def _imports(found: ExistingAgent, place: Place, long_term: bool) -> list[str]:
    lines = [f"from {place.module}.caller import thread_id_of"] if _by_mlflow(found) else []
    lines += [f"from {place.module}.memory import memory_tools"] if long_term else []
    lines.append(f"from {place.module}.turn import open_turn")
    if _by_mlflow(found):
        lines.append("from mlflow.genai.agent_server import get_request_headers")
    return lines


def _request(found: ExistingAgent) -> str:
    if _by_mlflow(found):
        return "get_request_headers(), thread_id_of(request)"
    return "request.headers, thread_id"


def _by_mlflow(found: ExistingAgent) -> bool:
    return any("mlflow.genai.agent_server" in source.imports for source in found.sources)


def _calls(found: ExistingAgent, framework: str) -> tuple[list[Found], list[Found]]:
    """Return where the project builds its agent, and where it runs it; else how one would."""
    builds, runs = [], []
    for source in found.sources:
        if not source.imports & IMPORTS[framework]:
            continue
        for call in _calls_in(source.tree):
            where = f"{source.path}:{call.lineno}: "
            builds += [(where, call)] if _name(call) in BUILDERS[framework] else []
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


def _build(call: ast.Call, framework: str, long_term: bool) -> ast.Call:
    keywords = {word.arg: word.value for word in call.keywords}
    if long_term and _name(call) != "compile":
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


def _run(call: ast.Call, framework: str) -> ast.Call:
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


def _then(
    found: ExistingAgent, answers: Mapping[str, Any], place: Place, app: App | None
) -> Iterator[str]:
    yield "Then:"
    yield ""
    yield from _code(_commands(found, place, app))
    yield ""
    if not app:
        kind = "postgres" if answers["lakebase"] == "autoscaling" else "database"
        yield f"and, without a bundle, give the app its Lakebase as its resource `{kind}`,"
        yield "and the embedding endpoint with CAN QUERY, on its page in the workspace."
        yield ""
    yield "On this machine the memory is in the Lakebase that your .env names, if your"
    yield "program loads it, or in any Postgres with pgvector, named by DATABASE_URL."


def _commands(found: ExistingAgent, place: Place, app: App | None) -> list[str]:
    if not app:
        return ["uv sync"]
    target = found.default_target()
    more = "" if target == "dev" else f" --target {target}"
    name = str(app.settings.get("name") or "").strip()
    named = name if name and "$" not in name else "NAME-OF-THE-APP"
    return [
        "uv sync",
        f"lakebase-agent link{more}",
        f"databricks bundle deploy{more}",
        *_folded(f"{place.run_script}{more}", f"--app {shlex.quote(named)}"),
        f"databricks bundle run{more} {shlex.quote(app.key)}",
    ]


def _folded(command: str, option: str) -> list[str]:
    whole = f"{command} {option}"
    return [whole] if len(whole) <= WIDTH else [f"{command} \\", f"    {option}"]


def _lines(call: ast.Call, before: str = "") -> list[str]:
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


def _attribute(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _name(call: ast.Call) -> str:
    if name := _attribute(call):
        return name
    return str(call.func.id) if isinstance(call.func, ast.Name) else ""


def _code(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]
