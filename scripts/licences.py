"""List the licences of what generated projects install: `uv run poe licences`.

Writes docs/licences.md; the exit code is 1 when a licence is not known.
"""

import sys
from pathlib import Path

from benchmarks.projects import FRAMEWORKS, open_project
from tests.support.licences import is_known, licences_in
from tests.support.rendering import MEMORIES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "licences.md"
HEADING = """\
# Licences

What a project with every kind of memory installs, development tools included, and the licence that
each package states. `Databricks` is a licence for use with the Databricks platform. All others are
approved by the Open Source Initiative. Written by `uv run poe licences`.

| package | licence | LangGraph | OpenAI |
|---|---|---|---|
"""


def main() -> int:
    """Write the page; return 1 when a licence is not known."""
    found: dict[str, dict[str, str]] = {}
    for framework in FRAMEWORKS:
        with open_project(framework, "--no-install-project", memory=MEMORIES) as project:
            found[framework] = licences_in(project.environment)
    every = {name: licence for packages in found.values() for name, licence in packages.items()}
    names = sorted(every, key=str.lower)
    marks = {name: ["x" if name in found[f] else "" for f in FRAMEWORKS] for name in names}
    lines = [f"| {' | '.join([name, every[name], *marks[name]])} |\n" for name in names]
    PAGE.write_text(HEADING + "".join(lines), "utf-8")
    unknown = [f"{name}: {every[name]}" for name in names if not is_known(every[name])]
    print("\n".join(unknown) or f"{len(names)} packages, every licence is known")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
