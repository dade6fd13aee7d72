"""The lines with which an owner connects their agent to the memory, in terms of their own code."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lakebase_agent.adopt.agent_calls import (
    WIDTH,
    attribute_of,
    find_calls,
    name_of,
    to_build,
    to_lines,
    to_run,
)
from lakebase_agent.adopt.existing_agent import App, ExistingAgent
from lakebase_agent.adopt.memory_modules import Place


def wiring(
    found: ExistingAgent, answers: Mapping[str, Any], place: Place, app: App | None
) -> list[str]:
    """Return what is left to do by hand, line by line."""
    framework, long_term = str(answers["framework"]), "long_term" in answers["memory"]
    builds, runs = find_calls(found, framework)
    lines = ["Now connect your agent. Import:", ""]
    lines += _code(_imports(found, place, long_term))
    lines += ["", "Around each turn:", ""]
    lines += _code([f"async with open_turn({_request(found)}) as turn:", "    ..."])
    lines += ["", *_about_threads(found)]
    for where, call in builds:
        lines += ["", f"{where}build the agent in that block (pass it `turn`), with", ""]
        lines += _code(to_lines(to_build(call, framework, long_term)))
        if long_term and name_of(call) == "compile":
            lines += ["", "and give memory_tools() to its model and to its node of tools."]
    for where, call in runs:
        lines += ["", f"{where}run it in that block, with", ""]
        awaited = "await " if attribute_of(call) in ("invoke", "run_sync") else ""
        lines += _code(to_lines(to_run(call, framework), awaited))
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


def _code(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]
