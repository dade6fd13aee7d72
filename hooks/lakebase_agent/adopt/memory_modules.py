"""The files that adoption adds to a project, taken from a rendering of the template."""

import ast
import re
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lakebase_agent.adopt.place import SCRIPT, Place
from lakebase_agent.project.answers import read_answers
from lakebase_agent.project.requirements import package_of
from lakebase_agent.template import render

PACKAGE = "agent_server"
ROOT = "Path(__file__).resolve().parent.parent"
# The distribution that an import comes from, if it has another name; empty if another requirement
# brings it.
DISTRIBUTIONS = {
    "agents": "openai-agents",
    "databricks_ai_bridge": "",  # by the extra `memory`
    "databricks": "",
    "dotenv": "python-dotenv",
    "psycopg_pool": "psycopg",
    "yaml": "pyyaml",
    "langchain_core": "langchain",
    "databricks_openai": "",
    "langchain_openai": "",
    "starlette": "",  # by fastapi
}
DOCSTRING = (
    "The agent's memory in Lakebase: written by `lakebase-agent adopt`, and yours to change."
)
# What the modules say about a generated project, and what is true of an adopted one.
REWORDED = {
    "start with `uv run start-app`, or set DATABASE_URL.": (
        "run `lakebase-agent link`, or set DATABASE_URL."
    ),
    "is off: `copier update --trust -d memory=...` adds it.": "is off.",
}
# The modules pass arguments that older versions of the first don't accept. What it requires can't
# be imported with a newer mcp.
ALWAYS = ["databricks-ai-bridge[memory]>=0.20,<1", "mcp>=1.25,<2"]
LANGGRAPH_POSTGRES = ("langgraph.checkpoint.postgres", "langgraph.store.postgres")


@dataclass(frozen=True)
class Rendered:
    """What one version of the template gives: modules by their path, and what they need."""

    version: str
    files: dict[str, str]
    answers: dict[str, Any]
    requirements: list[str]
    settings: dict[str, str | int]
    env_example: str


def render_modules(source: str, version: str, answers: Mapping[str, Any], place: Place) -> Rendered:
    """Render the template with `answers`, and take what an adopted agent needs.

    Raises SourceError if the template can't be fetched, and what Copier raises for answers that
    don't work.
    """
    with tempfile.TemporaryDirectory(prefix="lakebase-agent-") as name:
        folder = Path(name) / "rendered"
        given = {**answers, "adopted": True}
        render(source, folder, version, given, skip_tasks=True, quiet=True)
        return _take(folder, place)


def _take(folder: Path, place: Place) -> Rendered:
    long_term = (folder / PACKAGE / "memory_store.py").is_file()
    modules = _closure(folder / PACKAGE, ["turn", *(["memory"] if long_term else [])])
    files = {f"{place.folder}/__init__.py": f'"""{DOCSTRING}"""\n'}
    for name in sorted(modules):
        text = (folder / PACKAGE / f"{name}.py").read_text("utf-8")
        files[f"{place.folder}/{name}.py"] = _moved(text, place)
    files[place.script] = _moved((folder / SCRIPT).read_text("utf-8"), place, script=True)
    pyproject = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    settings = pyproject["tool"]["lakebase-agent"]
    if not long_term:
        settings = {k: v for k, v in settings.items() if not k.startswith("EMBEDDING")}
    settings.pop("MODEL_ENDPOINT")
    answers = read_answers(folder)
    return Rendered(
        str(answers.get("_commit", "")),
        files,
        dict(answers),
        list(_requirements(files, pyproject["project"]["dependencies"])),
        settings,
        _env_example((folder / ".env.example").read_text("utf-8")),
    )


def _closure(folder: Path, wanted: list[str]) -> set[str]:
    """Return `wanted` and the modules of the package that they import, directly or not."""
    found: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in found and (folder / f"{name}.py").is_file():
            found.add(name)
            wanted += _imported_modules(folder / f"{name}.py")
    return found


def _imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            yield str(node.module).partition(".")[2]


def _moved(text: str, place: Place, script: bool = False) -> str:
    """Return the text of a module for its new place."""
    text = re.sub(rf"\bfrom {PACKAGE}\b", f"from {place.module}", text)
    text = text.replace(f"uv run python {SCRIPT}", place.run_script)
    for old, new in REWORDED.items():
        text = text.replace(old, new)
    if not script:
        depth = len(PurePosixPath(place.folder).parts)
        text = text.replace(ROOT, f"Path(__file__).resolve().parents[{depth}]")
    return text


def _requirements(files: Mapping[str, str], rendered: list[str]) -> Iterator[str]:
    """Yield those of the rendered requirements whose packages the files import."""
    yield from ALWAYS
    imported = {name for text in files.values() for name in _imports(text)}
    packages = {name.partition(".")[0] for name in imported}
    wanted = {DISTRIBUTIONS.get(name, name).replace("_", "-") for name in packages}
    if any(name.startswith(LANGGRAPH_POSTGRES) for name in imported):
        wanted.add("langgraph-checkpoint-postgres")
    for requirement in rendered:
        if "[memory]" in requirement or package_of(requirement) in wanted:
            yield requirement


def _imports(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def _env_example(text: str) -> str:
    """Return the paragraphs that are about Lakebase, Postgres and embeddings."""
    about = ("LAKEBASE", "DATABASE_URL", "EMBEDDING")
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(p for p in paragraphs if any(name in p for name in about))
