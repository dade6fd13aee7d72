"""Checking what is written or printed against the packages that a project has installed."""

import json
import os
import subprocess
from pathlib import Path

from lakebase_agent.adopt.code.edits.runs import ASYNC_NAMES, method_of
from lakebase_agent.adopt.code.reading.calls import STATES, AgentCalls
from lakebase_agent.adopt.code.reading.modules import Site

# Runs in the project's environment: reads what to look for, and prints what is not so.
PROGRAM = """\
import importlib, inspect, json, sys

wanted = json.load(sys.stdin)
wrong = []
for module, names, positional, keywords in wanted:
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not module.startswith(str(error.name)):
            wrong.append(f"{module} can't be imported: {error}")
        continue
    try:
        for name in names.split("."):
            found = getattr(found, name)
    except AttributeError:
        wrong.append(f"{module} has no {names}")
        continue
    try:
        inspect.signature(found).bind(*[None] * positional, **dict.fromkeys(keywords))
    except TypeError as error:
        wrong.append(f"{names} of {module}: {error}")
    except ValueError:
        pass  # written in C
print(json.dumps(wrong))
"""
RUNS = {"langgraph": ("langgraph.pregel", "Pregel"), "openai": ("agents", "Runner")}
ADDED = {"langgraph": {"config", "context"}, "openai": {"context"}}
Wanted = tuple[str, str, int, list[str]]
MLFLOW_HEADERS: Wanted = ("mlflow.genai.agent_server", "get_request_headers", 0, [])
SECONDS = 60


def python_of(folder: Path) -> Path | None:
    """Return the Python of a project's environment; None if it has none yet."""
    place = folder / os.environ.get("UV_PROJECT_ENVIRONMENT", ".venv")
    paths = (place / "bin" / "python", place / "Scripts" / "python.exe")
    return next((path for path in paths if path.exists()), None)


def unmet(folder: Path, calls: AgentCalls, framework: str, mlflow: bool, tools: bool) -> list[str]:
    """Return what the packages of a project do not have of the calls that are written.

    Nothing is said of packages that are not installed yet, or without an environment.
    """
    python = python_of(folder)
    if not python:
        return []
    wanted = [_run(site, framework) for site in calls.runs]
    if tools:
        wanted += [build for site in calls.builds if (build := _build(site))]
    if mlflow:
        wanted.append(MLFLOW_HEADERS)
    done = subprocess.run(
        [str(python), "-c", PROGRAM], input=json.dumps(wanted), cwd=folder,
        capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    return list(dict.fromkeys(json.loads(lines[-1]))) if done.returncode == 0 and lines else []


def _run(site: Site, framework: str) -> Wanted:
    module, owner = RUNS[framework]
    name = ASYNC_NAMES.get(method_of(site), method_of(site))
    keywords = {word.arg for word in site.call.keywords if word.arg} - {"session"}
    positional = len(site.call.args) + (framework == "langgraph")  # and itself
    added = set() if method_of(site) in STATES else set(ADDED[framework])
    if framework == "langgraph" and len(site.call.args) > 1:
        added.discard("config")
    return module, f"{owner}.{name}", positional, sorted(keywords | added)


def _build(site: Site) -> Wanted | None:
    """Return a call of a function that builds an agent, and takes its tools by that name."""
    origin = site.module.origin(site.call.func)
    module, _, name = origin.rpartition(".")
    if not module:
        return None
    keywords = {word.arg for word in site.call.keywords if word.arg}
    return module, name, len(site.call.args), sorted(keywords)
