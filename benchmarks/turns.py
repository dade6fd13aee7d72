"""What a generated project's server costs: its start, its turns, what it says to Postgres.

The server is the real one (`start-app`, one process) on the project's embedded Postgres, with the
project's offline model, which answers at once. Both run beside it, in processes of their own.
"""

import argparse

from benchmarks.projects import FRAMEWORKS, open_project, open_services
from benchmarks.timing import measure_starts, measure_traced, measure_turns, open_server
from benchmarks.traffic import measure_traffic


def main() -> None:
    """Measure what is asked for, and print a table for each framework."""
    options = _options()
    for framework in [options.framework] if options.framework else FRAMEWORKS:
        rows = _measure(framework, options.turns, options.rounds)
        print(f"\n{FRAMEWORKS[framework]}: the best of {options.rounds} rounds (the median)")
        print("\n".join(f"  {title:<52}{value}" for title, value in rows.items()), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--framework", choices=FRAMEWORKS, help="default: each")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--turns", type=int, default=200, help="of a round; default: %(default)s")
    return parser.parse_args()


def _measure(framework: str, turns: int, rounds: int) -> dict[str, str]:
    with open_project(framework) as project, open_services(project) as variables:
        starts = measure_starts(project, variables, rounds)
        with open_server(project, variables) as server:
            costs = measure_turns(server, turns, rounds)
        traced = measure_traced(project, variables, turns, rounds)
        return {**starts, **costs, **traced, **measure_traffic(project, variables)}


if __name__ == "__main__":
    main()
