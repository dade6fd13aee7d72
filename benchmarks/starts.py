"""How long a start takes on Lakebase, and on the embedded Postgres, one after the other.

The workspace is the stand-in of the tests, which needs the template's own modules:
`PYTHONPATH=template uv run python -m benchmarks.starts`.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.projects import FRAMEWORKS, open_project, report
from benchmarks.timing import measure_start, spread
from tests.standins.workspace import open_workspace
from tests.support.on_lakebase import ENDPOINT

BUDGET = 1.5  # times


def main() -> None:
    """Print a line for each framework; exit code 1 over budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--framework", choices=FRAMEWORKS, action="append")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    frameworks = options.framework or list(FRAMEWORKS)
    ratios = [_measure(framework, options.rounds) for framework in frameworks]
    sys.exit(max(ratios) > BUDGET)


def _measure(framework: str, rounds: int) -> float:
    with (
        open_project(framework) as project,
        tempfile.TemporaryDirectory() as folder,
        open_workspace(Path(folder) / "database") as workspace,
    ):
        lakebase, embedded = [], []
        for number in range(rounds + 1):
            report(f"round {number}" if number else "the first time, not counted")
            lakebase.append(measure_start(project, workspace.variables(**ENDPOINT)).ready)
            # Its services start and stop with it.
            embedded.append(measure_start(project, {}).ready)
    ratio = min(lakebase[1:]) / min(embedded[1:])
    print(f"{framework}: {spread(lakebase[1:])} s on Lakebase, {spread(embedded[1:])} s embedded")
    print(f"{framework}: {ratio:.2f} times", flush=True)
    return ratio


if __name__ == "__main__":
    main()
