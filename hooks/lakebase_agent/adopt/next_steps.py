"""The commands that are left to run in an adopted project."""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from lakebase_agent.adopt.bundle.apps import App
from lakebase_agent.adopt.code.shown import WIDTH, in_block
from lakebase_agent.adopt.existing_agent import ExistingAgent
from lakebase_agent.adopt.place import Place


def next_steps(
    agent: ExistingAgent, answers: Mapping[str, Any], place: Place, app: App | None
) -> Iterator[str]:
    """Yield the commands that are left to run."""
    if unfilled := placeholders(app):
        yield f"{app.file if app else ''} has placeholders instead of values. Fill them in:"
        yield ""
        yield from in_block(unfilled)
        yield ""
    yield "Then:"
    yield ""
    yield from in_block(_commands(agent, place, app))
    yield ""
    if not app:
        kind = "postgres" if answers["lakebase"] == "autoscaling" else "database"
        yield f"Without a bundle, give the app its Lakebase as its resource `{kind}`, and the"
        yield "embedding endpoint with CAN QUERY, on the app's page in the workspace."
        yield ""
    yield "On this machine the memory is in the Lakebase that your .env names, if your"
    yield "program loads it, or in the Postgres with pgvector that DATABASE_URL names."


def placeholders(app: App | None) -> list[str]:
    """Return the variables of an app's Lakebase that hold what is to be replaced: `<project>`."""
    entries = ((app.settings.get("config") or {}).get("env") or []) if app else []
    return [
        f"{entry['name']}: {entry['value']}"
        for entry in entries
        if str(entry.get("name")).startswith("LAKEBASE_")
        and re.fullmatch("<.+>", str(entry.get("value", "")).strip())
    ]


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
