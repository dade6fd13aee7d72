"""The lines that connect an agent to its memory, in terms of its owner's own code."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lakebase_agent.adopt.agent_calls import (
    WIDTH,
    LocatedCall,
    attribute_of,
    find_calls,
    name_of,
    to_build,
    to_lines,
    to_run,
)
from lakebase_agent.adopt.existing_agent import App, ExistingAgent
from lakebase_agent.adopt.place import Place


def wiring(
    agent: ExistingAgent, answers: Mapping[str, Any], place: Place, app: App | None
) -> list[str]:
    """Return what is left to do by hand, line by line, in at most 80 columns."""
    framework, long_term = str(answers["framework"]), "long_term" in answers["memory"]
    calls = find_calls(agent, framework)
    lines = ["Now connect your agent. Import:", ""]
    lines += _code(_imports(agent, place, long_term))
    lines += ["", "Around each turn:", ""]
    lines += _code([f"async with open_turn({_turn_arguments(agent)}) as turn:", "    ..."])
    lines += ["", *_about_threads(agent)]
    for build in calls.builds:
        lines += _about_building(build, framework, long_term)
    for run in calls.runs:
        lines += _about_running(run, framework)
    if framework == "openai":
        lines += ["", "When the run has ended (or its stream has been read), in that block:", ""]
        lines += _code(["await turn.save(result)"])
    return [*lines, "", *_next_steps(agent, answers, place, app)]


def _about_building(build: LocatedCall, framework: str, long_term: bool) -> list[str]:
    start = f"{build.where}: " if build.where else ""
    lines = ["", f"{start}build the agent in that block (pass it `turn`), with", ""]
    lines += _code(to_lines(to_build(build.call, framework, long_term)))
    if long_term and name_of(build.call) == "compile":
        lines += ["", "and give memory_tools() to its model and to its node of tools."]
    return lines


def _about_running(run: LocatedCall, framework: str) -> list[str]:
    start = f"{run.where}: " if run.where else ""
    awaited = "await " if attribute_of(run.call) in ("invoke", "run_sync") else ""
    lines = ["", f"{start}run it in that block, with", ""]
    lines += _code(to_lines(to_run(run.call, framework), awaited))
    if any(word.arg == "context" for word in run.call.keywords):
        lines += ["", "This replaces its own context: memory_tools() reads the one above."]
    return lines


def _about_threads(agent: ExistingAgent) -> list[str]:
    if _uses_mlflow_server(agent):
        new = "A request without custom_inputs.thread_id starts a new thread, turn.thread_id."
    else:
        new = "`request` is of HTTP. An empty `thread_id` starts a new thread, turn.thread_id."
    return [new, "Return that to the client, which sends it to continue the thread."]


def _imports(agent: ExistingAgent, place: Place, long_term: bool) -> list[str]:
    lines = []
    if _uses_mlflow_server(agent):
        lines.append(f"from {place.module}.caller import thread_id_of")
    if long_term:
        lines.append(f"from {place.module}.memory import memory_tools")
    lines.append(f"from {place.module}.turn import open_turn")
    if _uses_mlflow_server(agent):
        lines.append("from mlflow.genai.agent_server import get_request_headers")
    return lines


def _turn_arguments(agent: ExistingAgent) -> str:
    if _uses_mlflow_server(agent):
        return "get_request_headers(), thread_id_of(request)"
    return "request.headers, thread_id"


def _uses_mlflow_server(agent: ExistingAgent) -> bool:
    return any("mlflow.genai.agent_server" in source.imports for source in agent.sources)


def _next_steps(
    agent: ExistingAgent, answers: Mapping[str, Any], place: Place, app: App | None
) -> Iterator[str]:
    yield "Then:"
    yield ""
    yield from _code(_commands(agent, place, app))
    yield ""
    if not app:
        kind = "postgres" if answers["lakebase"] == "autoscaling" else "database"
        yield f"Without a bundle, give the app its Lakebase as its resource `{kind}`, and the"
        yield "embedding endpoint with CAN QUERY, on the app's page in the workspace."
        yield ""
    yield "On this machine the memory is in the Lakebase that your .env names, if your"
    yield "program loads it, or in the Postgres with pgvector that DATABASE_URL names."


def _commands(agent: ExistingAgent, place: Place, app: App | None) -> list[str]:
    if not app:
        return ["uv sync"]
    target = agent.default_target()
    flag = "" if target == "dev" else f" --target {target}"
    declared = str(app.settings.get("name") or "").strip()
    name = declared if declared and "$" not in declared else "NAME-OF-THE-APP"
    return [
        "uv sync",
        f"lakebase-agent link{flag}",
        f"databricks bundle deploy{flag}",
        *_folded(f"{place.run_script}{flag}", f"--app {shlex.quote(name)}"),
        f"databricks bundle run{flag} {shlex.quote(app.key)}",
    ]


def _folded(command: str, option: str) -> list[str]:
    whole = f"{command} {option}"
    return [whole] if len(whole) <= WIDTH else [f"{command} \\", f"    {option}"]


def _code(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]
