"""How much a generated project installs in production, and whether what the docs name is in it."""

import argparse
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from pathlib import Path

from benchmarks.projects import FRAMEWORKS, open_project, report
from tests.support.project import Project

# In MB of a million bytes: what is downloaded, not what Python compiles it to later.
BUDGETS = {"langgraph": 330, "openai": 280}
LARGEST = 10
GRANTS = "LakebaseClient, SchemaPrivilege, SequencePrivilege, TablePrivilege"
BOTH = (f"from databricks_ai_bridge.lakebase import {GRANTS}", "import agent_server.server.runtime")
# What the public docs tell people to import must work, however little is installed.
IMPORTS = {
    "langgraph": ("from databricks_langchain import AsyncCheckpointSaver, AsyncDatabricksStore",),
    "openai": ("from databricks_openai.agents import AsyncDatabricksSession",),
}


def main() -> int:
    """Measure what is asked for; return 1 when a project is too large or lacks something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--framework", choices=FRAMEWORKS, help="default: each")
    chosen = parser.parse_args().framework
    fine = [_measure(framework) for framework in ([chosen] if chosen else FRAMEWORKS)]
    return 0 if all(fine) else 1


def _measure(framework: str) -> bool:
    with open_project(framework, "--no-dev") as project:
        size, budget = _size(project.environment.rglob("*")), BUDGETS[framework]
        print(f"{FRAMEWORKS[framework]}: {size:.1f} MB, not compiled; budget {budget} MB")
        for package, megabytes in _largest(project.environment):
            print(f"  {megabytes:7.1f}  {package}")
        imported = [_imports(project, line) for line in (*IMPORTS[framework], *BOTH)]
        return size <= budget and all(imported)


def _largest(environment: Path) -> list[tuple[str, float]]:
    place = next(environment.rglob("site-packages"))
    sizes = ((_title(d), _size(_files(d))) for d in distributions(path=[str(place)]))
    return sorted(sizes, key=lambda package: package[1], reverse=True)[:LARGEST]


def _title(package: Distribution) -> str:
    return f"{package.metadata['Name']} {package.version}"


def _files(package: Distribution) -> Iterable[Path]:
    return (Path(str(file.locate())) for file in package.files or ())


def _size(files: Iterable[Path]) -> float:
    """Return the megabytes of `files`; Python itself is a link, and does not count."""
    return sum(f.stat().st_size for f in files if f.is_file() and not f.is_symlink()) / 1e6


def _imports(project: Project, line: str) -> bool:
    report(line)
    # Without bytecode, so that the next one finds the environment as it was installed.
    with project.start("python", "-B", "-c", line, stderr=subprocess.PIPE) as process:
        _, errors = process.communicate()
    print(f"  {'works' if process.returncode == 0 else 'FAILS'}: {line}")
    print(errors if process.returncode else "", end="")
    return process.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
