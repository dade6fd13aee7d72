"""Where the memory modules go in an existing project, and how they are imported there."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from lakebase_agent.adopt.existing_agent import MEMORY_FOLDER, ExistingAgent
from lakebase_agent.errors import UsageError
from lakebase_agent.terminal import Asker

SCRIPT = "scripts/grant_lakebase_permissions.py"
OTHER_SCRIPT = "scripts/grant_lakebase_memory.py"  # if the project has one of its own


@dataclass(frozen=True)
class Place:
    """Where the modules and the grant script go; `run_script` is the command that runs it."""

    folder: str  # such as agent_server/lakebase_memory
    module: str  # such as agent_server.lakebase_memory
    script: str
    run_script: str


def choose_place(agent: ExistingAgent, framework: str, given: str, asker: Asker) -> Place:
    """Return where the modules go: in the folder `given`, or where the agent's code is.

    Raises UsageError if that is not free, and KeyboardInterrupt if a person is asked.
    """
    package = _choose_package(agent, framework, given.rstrip("/"), asker)
    parts = [part for part in PurePosixPath(package).parts if part != "."]
    folder = "/".join([*parts, MEMORY_FOLDER])
    for taken in (folder, f"{folder}.py"):  # a module would be hidden by the folder
        if (agent.folder / taken).exists():
            raise UsageError(f"{taken} exists already: move it away, or choose another --package")
    is_package = bool(parts) and parts[-1] != "src" and agent.is_package(package)
    root = _source_root(parts) if is_package else parts
    module = ".".join([*parts[len(root) :], MEMORY_FOLDER])
    script = _free_script(agent)
    installed = is_package and agent.is_installed()
    return Place(folder, module, script, _run_script(script, installed, "/".join(root)))


def _choose_package(agent: ExistingAgent, framework: str, given: str, asker: Asker) -> str:
    place = (agent.folder / given).resolve()
    if given and not (place.is_dir() and place.is_relative_to(agent.folder.resolve())):
        raise UsageError(f"--package {given!r} is not a folder of {agent.folder}")
    named = place.relative_to(agent.folder.resolve()).as_posix() if given else ""
    choices = [named] if given else agent.packages(framework)
    return asker.choose("folder for the memory", "--package", named, choices)


def _source_root(parts: list[str]) -> list[str]:
    """Return the folder from which packages are imported, src or the project's own."""
    return ["src"] if parts[0] == "src" else []


def _free_script(agent: ExistingAgent) -> str:
    script = OTHER_SCRIPT if (agent.folder / SCRIPT).exists() else SCRIPT
    if (agent.folder / script).exists():
        raise UsageError(f"{script} exists already: move it away, and run this command again")
    return script


def _run_script(script: str, installed: bool, root: str) -> str:
    if installed:
        return f"uv run python {script}"
    if not root:
        return f"uv run python -m {script.removesuffix('.py').replace('/', '.')}"
    return f"PYTHONPATH={root} uv run python {script}"
