"""An agent project that was not generated: its framework, its app, its files."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lakebase_agent.adopt.bundle.apps import App, apps_of, resolved
from lakebase_agent.adopt.dependencies import read_pyproject
from lakebase_agent.errors import UsageError
from lakebase_agent.project.answers import ANSWERS
from lakebase_agent.project.bundle_shapes import check_environment
from lakebase_agent.project.env_file import env_text
from lakebase_agent.project.requirements import package_of
from lakebase_agent.project.sources import Source, read_sources
from lakebase_agent.project.yaml_documents import load_documents, read_first_document

PACKAGES = {
    "langgraph": {"databricks-langchain", "langgraph", "langchain", "deepagents"},
    "openai": {"databricks-openai", "openai-agents"},
}
IMPORTS = {
    "langgraph": {"databricks_langchain", "langgraph", "langchain", "deepagents"},
    "openai": {"databricks_openai", "agents"},
}
SCHEMA = "LAKEBASE_AGENT_MEMORY_SCHEMA"
APP_YAML = ("app.yaml", "app.yml")
MEMORY_FOLDER = "lakebase_memory"
# Folders with code that is not the agent's.
OTHER_FOLDERS = {
    "tests", "test", "evals", "scripts", "notebooks", "node_modules", "build", "dist",
    MEMORY_FOLDER,
}  # fmt: skip
KINDS = {"autoscaling": "postgres", "provisioned": "database"}  # of resources, by flavour
PREFIXES = {"autoscaling": "LAKEBASE_AUTOSCALING", "provisioned": "LAKEBASE_INSTANCE"}
NO_AGENT = """\
there is no agent in it: none of its files builds or runs one with LangGraph, LangChain or the
OpenAI Agents SDK. If one does all the same, add --framework langgraph or --framework openai"""
NO_APP = """\
there is no app in its databricks.yml, and no app.yaml: adopt is for a Databricks App. Write an
app.yaml with the command that starts it, commit, and run this command again:
    command: ["uv", "run", "python", "app.py"]"""


@dataclass(frozen=True)
class ExistingAgent:
    """A project, as it was found.

    `app_yaml` is the name of that file, `bundle` is databricks.yml; both are empty without one.
    """

    folder: Path
    pyproject: Mapping[str, Any]
    sources: tuple[Source, ...]
    apps: tuple[App, ...]
    app_yaml: str
    bundle: Mapping[str, Any]

    def frameworks(self) -> list[str]:
        """Return the frameworks that it may use; its imports decide if it requires both."""
        listed = {package_of(item) for item in self.pyproject["project"].get("dependencies", [])}
        found = [name for name, packages in PACKAGES.items() if packages & listed]
        if len(found) == 1:
            return found
        used = frozenset().union(*(source.imports for source in self.sources))
        return [name for name in IMPORTS if IMPORTS[name] & used]

    def packages(self, framework: str) -> list[str]:
        """Return the folders that hold the agent's own code, the most likely first."""
        places = Counter(
            str(source.path.parent)
            for source in self.sources
            if source.imports & IMPORTS[framework]
        )
        return [place for place, _ in places.most_common()] or ["."]

    def is_package(self, folder: str) -> bool:
        """Return whether the modules in a folder are imported by the folder's name."""
        name = PurePosixPath(folder).name
        used = any(name in source.imports for source in self.sources)
        return used or (self.folder / folder / "__init__.py").is_file()

    def text(self, name: str) -> str:
        """Return the text of a file; empty if it does not exist. Raises UsageError if not UTF-8."""
        if name == ".env":
            return env_text(self.folder) or ""
        path = self.folder / name
        return _read(path) if path.is_file() else ""

    def schema(self, app: App | None) -> str:
        """Return the Postgres schema that its environment names; empty if it names none."""
        for entry in self.env(app):
            if entry.get("name") == SCHEMA:
                return resolved(entry.get("value"), self.bundle)
        return ""

    def app_with_key(self, key: str) -> App | None:
        """Return the app of the bundle with a key; None if there is none."""
        return next((app for app in self.apps if app.key == key), None)

    def env(self, app: App | None) -> list[Mapping[str, Any]]:
        """Return the environment of the app, from the bundle or from app.yaml.

        Raises UsageError if app.yaml is not valid.
        """
        if app and app.has_config:
            return list(app.settings["config"].get("env") or [])
        documents = load_documents(self.app_yaml, self.text(self.app_yaml))
        first = (documents or [None])[0] or {}
        if not isinstance(first, dict):
            raise UsageError(f"{self.app_yaml} does not hold a mapping")
        check_environment(self.app_yaml, first)
        return list(first.get("env") or [])

    def default_target(self) -> str:
        """Return the target that the bundle's commands use by default; `dev` without targets."""
        targets = self.bundle.get("targets") or {}
        default = [name for name, target in targets.items() if (target or {}).get("default")]
        return str((default or [*targets, "dev"])[0])

    def is_installed(self) -> bool:
        """Return whether `uv run` makes its packages importable from anywhere."""
        return "build-system" in self.pyproject

    def flavours(self, app: App | None) -> list[str]:
        """Return the flavours of Lakebase that its resources, environment or .env name."""
        resources = (app.settings.get("resources") or []) if app else []
        kinds = {kind for resource in resources for kind in resource}
        by_resource = [flavour for flavour, kind in KINDS.items() if kind in kinds]
        return by_resource or self._flavours_of_variables(app)

    def _flavours_of_variables(self, app: App | None) -> list[str]:
        names = [str(entry.get("name")) for entry in self.env(app)]
        for file in (".env", ".env.example"):
            names += re.findall(r"^\s*(LAKEBASE_\w+)\s*=", self.text(file), re.MULTILINE)
        text = " ".join(names)
        return [flavour for flavour, prefix in PREFIXES.items() if prefix in text]


def examine_agent(folder: Path, framework: str = "") -> ExistingAgent:
    """Return what is known of a project; with `framework`, it has an agent whatever it looks like.

    Raises UsageError, with what to do by hand, if it can't be adopted or a file is not valid.
    """
    if (folder / ANSWERS).is_file() and "lakebase-agent" in (folder / ANSWERS).read_text("utf-8"):
        raise UsageError(f"{folder} was generated, and has memory. Run: lakebase-agent update")
    sources = tuple(read_sources(folder, OTHER_FOLDERS))
    used = frozenset().union(*(source.imports for source in sources))
    if not framework and not used & frozenset().union(*IMPORTS.values()):
        raise UsageError(f"{folder} can't be adopted: {NO_AGENT}")
    pyproject = read_pyproject(folder)
    path = folder / "databricks.yml"
    bundle = read_first_document(path) if path.is_file() else {}
    apps = tuple(apps_of(folder, bundle))
    app_yaml = next((name for name in APP_YAML if (folder / name).is_file()), "")
    if not apps and not app_yaml:
        raise UsageError(f"{folder} can't be adopted: {NO_APP}")
    return ExistingAgent(folder, pyproject, sources, apps, app_yaml, bundle)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8") from error
