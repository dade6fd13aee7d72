"""What the taken modules need: other modules of the template, packages, settings."""

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from lakebase_agent.project.requirements import package_of

# The distribution that an import comes from, if it has another name; empty if another requirement
# brings it.
DISTRIBUTIONS = {
    "agents": "openai-agents",
    "databricks_ai_bridge": "",  # by the extra `memory`
    "databricks": "",
    "dotenv": "python-dotenv",
    "yaml": "pyyaml",
    "langchain_core": "langchain",
    "databricks_openai": "",
    "langchain_openai": "",
    "starlette": "",  # by fastapi
}
# The modules pass arguments that older versions of the first don't accept. What it requires can't
# be imported with a newer mcp.
ALWAYS = ["databricks-ai-bridge[memory]>=0.20,<1", "mcp>=1.25,<2"]
LANGGRAPH_POSTGRES = ("langgraph.checkpoint.postgres", "langgraph.store.postgres")
# The second requires the first in any version, and can't be imported with an older one.
FOR_POSTGRES = ("langchain-core", "langgraph-checkpoint-postgres")


def needed_modules(folder: Path, wanted: Iterable[str]) -> set[str]:
    """Return the paths below `folder` of modules, and of all modules there that they import.

    Wherever an import stands, it counts; and with a module come the packages that it is in.
    """
    found: set[str] = set()
    names = list(wanted)
    while names:
        path = _path_of(folder, names.pop())
        if path and path not in found:
            found.add(path)
            names += _with_packages(_imported_names((folder / path).read_text("utf-8")))
    return found


def _path_of(folder: Path, name: str) -> str:
    """Return the path of a module or a package; empty if it is neither, or not in `folder`."""
    stem = PurePosixPath(*name.split("."))
    paths = [stem.with_suffix(".py"), stem / "__init__.py"]
    return next((str(path) for path in paths if (folder / path).is_file()), "")


def _with_packages(names: Iterable[str]) -> Iterator[str]:
    """Yield `a`, `a.b` and `a.b.c` for the name `a.b.c`."""
    for name in names:
        parts = name.split(".")
        yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _imported_names(text: str) -> Iterator[str]:
    """Yield what a module imports; some of it may be a name in a module, not a module."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def needed_requirements(texts: Collection[str], rendered: Iterable[str]) -> Iterator[str]:
    """Yield those of the rendered requirements whose packages are imported in `texts`."""
    yield from ALWAYS
    imported = {name for text in texts for name in _imported_names(text)}
    packages = {name.partition(".")[0] for name in imported}
    wanted = {DISTRIBUTIONS.get(name, name).replace("_", "-") for name in packages}
    if any(name.startswith(LANGGRAPH_POSTGRES) for name in imported):
        wanted.update(FOR_POSTGRES)
    for requirement in rendered:
        if "[memory]" in requirement or package_of(requirement) in wanted:
            yield requirement


def needed_settings(texts: Collection[str], rendered: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the rendered settings that are read in `texts`, each by its name."""
    names = {
        node.value
        for text in texts
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant)
    }
    return {name: value for name, value in rendered.items() if name in names}
