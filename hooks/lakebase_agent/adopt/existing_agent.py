"""What is known of an agent project that was not generated: its framework, its app, its files."""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lakebase_agent.errors import UsageError
from lakebase_agent.project.files import ANSWERS
from lakebase_agent.project.yaml_lines import load_documents, read_first_document

PACKAGES = {
    "langgraph": {"databricks-langchain", "langgraph", "langchain"},
    "openai": {"databricks-openai", "openai-agents"},
}
IMPORTS = {
    "langgraph": {"databricks_langchain", "langgraph", "langchain"},
    "openai": {"databricks_openai", "agents"},
}
# Where code is that is not the agent's.
ELSEWHERE = {"tests", "test", "evals", "scripts", "notebooks", "node_modules", "build", "dist"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
KINDS = {"autoscaling": "postgres", "provisioned": "database"}
POETRY = """\
its dependencies are in [tool.poetry], which adopt does not edit. Move them to [project]:
    uvx migrate-to-uv
then commit, and run this command again"""
REQUIREMENTS = """\
its dependencies are in requirements.txt, which adopt does not edit. Move them to pyproject.toml:
    uv init --bare && uv add -r requirements.txt
then commit, and run this command again"""
NO_APP = """\
there is no app in its databricks.yml, and no app.yaml: adopt is for a Databricks App. Write an
app.yaml with the command that starts it, commit, and run this command again:
    command: ["uv", "run", "python", "app.py"]"""


@dataclass(frozen=True)
class App:
    """An app of the bundle; `file` is where it is declared."""

    file: str
    key: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """A Python file of the agent, and the modules that it imports, their packages included."""

    path: PurePosixPath
    tree: ast.Module
    imports: frozenset[str]


@dataclass(frozen=True)
class ExistingAgent:
    """A project, as it was found."""

    folder: Path
    pyproject: Mapping[str, Any]
    sources: tuple[Source, ...]
    apps: tuple[App, ...]
    app_yaml: str  # its name, or empty
    bundle: Mapping[str, Any]  # databricks.yml; empty without one

    def frameworks(self) -> list[str]:
        """Return the frameworks it may be written with; its imports decide between two."""
        listed = {_name(item) for item in self.pyproject["project"].get("dependencies", [])}
        found = [name for name, packages in PACKAGES.items() if packages & listed]
        if len(found) == 1:
            return found
        used = frozenset().union(*(source.imports for source in self.sources))
        return [name for name in IMPORTS if IMPORTS[name] & used]

    def packages(self, framework: str) -> list[str]:
        """Return the folders that hold the agent's own code, the likeliest first."""
        places = Counter(
            str(source.path.parent)
            for source in self.sources
            if source.imports & IMPORTS[framework]
        )
        return [place for place, _ in places.most_common()] or ["."]

    def is_package(self, folder: str) -> bool:
        """True when the modules of a folder are imported by the folder's name."""
        name = PurePosixPath(folder).name
        used = any(name in source.imports for source in self.sources)
        return used or (self.folder / folder / "__init__.py").is_file()

    def text(self, name: str) -> str:
        """Return a file of the project; empty when it is not there."""
        path = self.folder / name
        return _text(path) if path.is_file() else ""

    def env(self, app: App | None) -> list[Mapping[str, Any]]:
        """Return the environment of the app, in the bundle or in app.yaml."""
        if app and app.settings.get("config"):
            return list(app.settings["config"].get("env") or [])
        documents = load_documents(self.app_yaml, self.text(self.app_yaml))
        first = documents[0] if documents and isinstance(documents[0], dict) else {}
        return list(first.get("env") or [])

    def default_target(self) -> str:
        """Return the target of the bundle that its commands mean; `dev` when it has none."""
        targets = self.bundle.get("targets") or {}
        default = [name for name, target in targets.items() if (target or {}).get("default")]
        return str((default or [*targets, "dev"])[0])

    def installed(self) -> bool:
        """True when `uv run` makes its packages importable from anywhere."""
        return "build-system" in self.pyproject


def examine_agent(folder: Path) -> ExistingAgent:
    """Return what is known of the project; UsageError, with what to do by hand, for others."""
    if (folder / ANSWERS).is_file() and "lakebase-agent" in (folder / ANSWERS).read_text("utf-8"):
        raise UsageError(f"{folder} was generated, and remembers already: lakebase-agent update")
    pyproject = _read_pyproject(folder)
    path = folder / "databricks.yml"
    bundle = read_first_document(path) if path.is_file() else {}
    apps = tuple(_apps(folder, bundle))
    app_yaml = next((n for n in ("app.yaml", "app.yml") if (folder / n).is_file()), "")
    if not apps and not app_yaml:
        raise UsageError(f"{folder} can't be adopted: {NO_APP}")
    return ExistingAgent(folder, pyproject, tuple(_sources(folder)), apps, app_yaml, bundle)


def flavours(app: Mapping[str, Any], env: Mapping[str, Any], dotenv: str) -> list[str]:
    """Return the kinds of Lakebase that resources, variables of the app or a .env speak of."""
    kinds = {key for item in app.get("resources") or [] for key in item}
    names = " ".join([*env, *re.findall(r"^\s*(LAKEBASE_\w+)\s*=", dotenv, re.MULTILINE)])
    spoken = {"autoscaling": "LAKEBASE_AUTOSCALING", "provisioned": "LAKEBASE_INSTANCE"}
    by_resource = [name for name, kind in KINDS.items() if kind in kinds]
    return by_resource or [name for name, prefix in spoken.items() if prefix in names]


def _read_pyproject(folder: Path) -> Mapping[str, Any]:
    path = folder / "pyproject.toml"
    try:
        document = tomllib.loads(path.read_text("utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    if "dependencies" in document.get("project", {}):
        return document
    if "poetry" in document.get("tool", {}):
        raise UsageError(f"{folder} can't be adopted: {POETRY}")
    if list(folder.glob("requirements*.txt")):
        raise UsageError(f"{folder} can't be adopted: {REQUIREMENTS}")
    raise UsageError(f"{folder} can't be adopted: no pyproject.toml lists its dependencies")


def _apps(folder: Path, bundle: Mapping[str, Any]) -> Iterator[App]:
    """Yield the apps of databricks.yml, and of the files that it includes."""
    paths = [p for one in bundle.get("include") or [] for p in sorted(folder.glob(str(one)))]
    included = {p.relative_to(folder).as_posix(): read_first_document(p) for p in paths}
    for name, document in {"databricks.yml": bundle, **included}.items():
        for key, settings in ((document.get("resources") or {}).get("apps") or {}).items():
            yield App(name, str(key), settings or {})


def _sources(folder: Path) -> Iterator[Source]:
    for path in sorted(folder.rglob("*.py")):
        place = PurePosixPath(path.relative_to(folder).as_posix())
        hidden = any(part.startswith(".") or part in ELSEWHERE for part in place.parts)
        if not hidden and "lakebase_memory" not in place.parts:
            with suppress(SyntaxError, ValueError):  # not for us to judge
                tree = ast.parse(path.read_bytes())
                yield Source(place, tree, frozenset(_imports(tree)))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules = [node.module]
        yield from (name for module in modules for name in (module, module.partition(".")[0]))


def _name(requirement: str) -> str:
    found = NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8") from error
