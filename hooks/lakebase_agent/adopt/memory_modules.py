"""The files that adoption adds to a project, taken from a rendering of the template."""

import ast
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from plumbum import ProcessExecutionError

from lakebase_agent.new.new import SourceError, last_line, render
from lakebase_agent.project.files import read_answers

PACKAGE = "agent_server"
FOLDER = "lakebase_memory"
SCRIPT = "scripts/grant_lakebase_permissions.py"
ROOT = "Path(__file__).resolve().parent.parent"
QUIETLY = {"skip_tasks": True, "quiet": True}
# Which package an import comes from, where that does not say its name.
DISTRIBUTIONS = {
    "agents": "openai-agents",
    "databricks_ai_bridge": "",  # of the extra `memory`
    "databricks": "",
    "dotenv": "python-dotenv",
    "psycopg_pool": "psycopg",
    "yaml": "pyyaml",
    "langchain_core": "langchain",
    "databricks_openai": "",
    "langchain_openai": "",
    "starlette": "",  # of fastapi
}
# What the modules say of a generated project, and what is true of an adopted one.
ABOUT = "The agent's memory in Lakebase: written by `lakebase-agent adopt`, and yours to change."
REWORDED = {
    "start with `uv run start-app`, or set DATABASE_URL.": (
        "run `lakebase-agent link`, or set DATABASE_URL."
    ),
    "is off: `copier update --trust -d memory=...` adds it.": "is off.",
}
# The modules call it with arguments that earlier ones do not know, and what it needs in turn does
# not import with a newer mcp.
ALWAYS = ["databricks-ai-bridge[memory]>=0.20,<1", "mcp>=1.25,<2"]
LANGGRAPH_POSTGRES = {"langgraph.checkpoint.postgres", "langgraph.store.postgres"}


@dataclass(frozen=True)
class Place:
    """Where the modules go in a project, and how they are called there."""

    folder: str  # such as agent_server/lakebase_memory
    module: str  # such as agent_server.lakebase_memory
    script: str
    run_script: str  # the command


@dataclass(frozen=True)
class Rendered:
    """What one version of the template gives: files by their path, and more."""

    version: str
    files: dict[str, str]
    answers: dict[str, Any]
    requirements: list[str]
    settings: dict[str, str | int]
    env_example: str


def render_modules(source: str, version: str, answers: Mapping[str, Any], place: Place) -> Rendered:
    """Render the template with `answers`, and take what stands on its own.

    Raises SourceError when the template can't be reached, and what Copier says of the answers.
    """
    with tempfile.TemporaryDirectory(prefix="lakebase-agent-") as name:
        folder = Path(name) / "rendered"
        try:
            render(source, folder, version, {**answers, "adopted": True}, **QUIETLY)
        except ProcessExecutionError as error:
            reason = last_line(error.stderr)
            raise SourceError(f"can't get {source} at {version}: {reason}") from error
        return _take(folder, place)


def merge_text(base: str, theirs: str, new: str) -> tuple[str, bool]:
    """Return a file with the changes of both, and whether conflicts are marked in it."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("yours", "before", "template")]
        for path, text in zip(paths, (theirs, base, new), strict=True):
            path.write_bytes(text.encode())
        command = ["git", "merge-file", "-p", *(p.name for p in paths)]
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    return done.stdout.decode(), done.returncode != 0


def _take(folder: Path, place: Place) -> Rendered:
    long_term = (folder / PACKAGE / "memory_store.py").is_file()
    modules = _closure(folder / PACKAGE, ["turn", *(["memory"] if long_term else [])])
    files = {f"{place.folder}/__init__.py": f'"""{ABOUT}"""\n'}
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
    """Return the modules of the package that `wanted` need, themselves included."""
    found: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in found and (folder / f"{name}.py").is_file():
            found.add(name)
            wanted += _needed(folder / f"{name}.py")
    return found


def _needed(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            yield str(node.module).partition(".")[2]


def _moved(text: str, place: Place, script: bool = False) -> str:
    """Return a module as it must be in its new place."""
    text = re.sub(rf"\bfrom {PACKAGE}\b", f"from {place.module}", text)
    text = text.replace(f"uv run python {SCRIPT}", place.run_script)
    for old, new in REWORDED.items():
        text = text.replace(old, new)
    if not script:
        depth = len(PurePosixPath(place.folder).parts)
        text = text.replace(ROOT, f"Path(__file__).resolve().parents[{depth}]")
    return text


def _requirements(files: Mapping[str, str], rendered: list[str]) -> Iterator[str]:
    """Yield those of the rendered requirements that the files import."""
    yield from ALWAYS
    names = set()
    for text in files.values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(str(node.module))
    wanted = {DISTRIBUTIONS.get(n.partition(".")[0], n.partition(".")[0]) for n in names}
    if any(name.startswith(tuple(LANGGRAPH_POSTGRES)) for name in names):
        wanted.add("langgraph-checkpoint-postgres")
    for requirement in rendered:
        name = re.split(r"[\[><=]", requirement)[0]
        if "[memory]" in requirement or name in {item.replace("_", "-") for item in wanted}:
            yield requirement


def _env_example(text: str) -> str:
    """Return the paragraphs that are about Lakebase, Postgres and embeddings."""
    about = ("LAKEBASE", "DATABASE_URL", "EMBEDDING")
    found = [p for p in text.strip().split("\n\n") if any(name in p for name in about)]
    return "\n\n".join(found)
