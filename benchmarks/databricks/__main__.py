"""Measure a project beside another, for example the public template, and print the ratios.

`PYTHONPATH=template uv run python -m benchmarks.databricks --framework langgraph \\
    --beside ~/app-templates/agent-langgraph-advanced --environment ~/public-env`
"""

import argparse
from contextlib import ExitStack
from pathlib import Path

from benchmarks.databricks.ages import Meter, Row, measure_ages, measure_first_token, measure_kinds
from benchmarks.databricks.crowd import measure_crowd
from benchmarks.databricks.place import Place, open_place
from benchmarks.databricks.subjects import Subject, other
from benchmarks.projects import FRAMEWORKS, open_project
from tests.support.project import Project

MEMORY = ("short_term", "long_term", "background", "chat")


def main() -> None:
    """Measure, and print a table."""
    options = _options()
    with ExitStack() as stack:
        subjects = list(_subjects(options, stack))
        found = [_measure(subject, options) for subject in reversed(subjects)][::-1]
    _show([subject.name for subject in subjects], found)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--framework", choices=FRAMEWORKS, default="langgraph")
    parser.add_argument("--project", type=Path, help="a rendered project, instead of a new one")
    parser.add_argument("--environment", type=Path, help="where its packages are")
    parser.add_argument("--beside", type=Path, help="the folder of another project")
    parser.add_argument("--beside-environment", type=Path, help="where its packages are")
    parser.add_argument("--beside-command", default="start-server")
    parser.add_argument("--ages", type=int, nargs="*", default=[10, 100, 200])
    parser.add_argument("--threads", type=int, default=3, help="long ones; default: %(default)s")
    parser.add_argument("--users", type=int, nargs="*", default=[1, 8, 64])
    parser.add_argument("--workers", type=int, nargs="*", default=[1])
    parser.add_argument("--only", choices=("ages", "kinds", "crowd", "first"), nargs="*")
    return parser.parse_args()


def _subjects(options: argparse.Namespace, stack: ExitStack) -> "list[Subject]":
    if options.project:
        ours = Project(options.project, options.environment)
    else:
        ours = stack.enter_context(open_project(options.framework, memory=MEMORY))
    subjects = [Subject("ours", ours)]
    if options.beside:
        environment = options.beside_environment
        subjects.append(other(options.beside, environment, options.beside_command))
    return subjects


def _measure(subject: Subject, options: argparse.Namespace) -> Row:
    wanted = options.only or ("ages", "kinds", "first", "crowd")
    rows: Row = {}
    with open_place() as place:
        with subject.serve(place.variables):
            pass  # the first start creates tables, and compiles bytecode
        rows |= _one_worker(subject, place, options, wanted)
        if "crowd" in wanted:
            for workers in options.workers:
                with subject.serve(place.variables, "--workers", str(workers)) as running:
                    for users in options.users:
                        rows |= measure_crowd(running, users, workers)
    return rows


def _one_worker(
    subject: Subject, place: Place, options: argparse.Namespace, wanted: tuple[str, ...]
) -> Row:
    rows: Row = {}
    with subject.serve(place.variables) as running:
        rows["start to healthy, s"] = running.healthy
        rows["start to the first answer, s"] = running.answered
        meter = Meter(place, running)
        rows["memory, idle, MB"] = running.memory()
        rows["CPU a second, idle, ms"] = meter.idle
        if "ages" in wanted:
            rows |= measure_ages(meter, running, options.ages, options.threads)
        if "kinds" in wanted:
            rows |= measure_kinds(meter, running)
        if "first" in wanted:
            rows |= measure_first_token(running)
        rows["memory, after all that, MB"] = running.memory()
    return rows


def _show(names: list[str], found: list[Row]) -> None:
    print("\n" + " " * 56 + "".join(f"{name:>12}" for name in names))
    for title, value in found[0].items():
        others = [row.get(title, float("nan")) for row in found[1:]]
        ratios = "".join(f"{other:12,.1f}{_ratio(value, other):10.2f}" for other in others)
        print(f"{title:<56}{value:12,.1f}{ratios}")


def _ratio(value: float, other: float) -> float:
    return value / other if other else float("nan")


if __name__ == "__main__":
    main()
