"""The rules of the house for `hooks/`: sizes, one direction of imports, complexity."""

import ast
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from tests.support.rendering import REPOSITORY

HOOKS = REPOSITORY / "hooks"
PACKAGE = "lakebase_agent"
FILES = sorted(HOOKS.rglob("*.py"))
MAX_LINES_OF_A_FILE = 200
MAX_LINES_OF_A_FUNCTION = 35
MAX_MEDIAN = 10
MAX_FILES = 12
MAX_COMPLEXITY = 10


def name_of(path: Path) -> str:
    """Return a path as an error shows it."""
    return path.relative_to(HOOKS).as_posix()


def lines_of_functions() -> dict[str, int]:
    """Return how long each function is, by where it is."""
    lines = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno
                lines[f"{name_of(path)}:{node.lineno} {node.name}"] = (
                    node.end_lineno - node.lineno + 1
                )
    return lines


def module_of(path: Path) -> str:
    """Return how a file of the package is imported."""
    return ".".join(path.relative_to(HOOKS).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> Iterator[str]:
    """Yield what a file imports of the package, wherever the import stands."""
    modules = {module_of(file) for file in FILES}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name_of(path)} has a relative import"
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name for name in names if name in modules and name != PACKAGE)


def test_a_file_has_at_most_200_lines() -> None:
    lines = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert {name: n for name, n in lines.items() if n > MAX_LINES_OF_A_FILE} == {}


def test_a_function_has_at_most_35_lines() -> None:
    lines = lines_of_functions()
    assert {name: n for name, n in lines.items() if n > MAX_LINES_OF_A_FUNCTION} == {}


def test_half_of_the_functions_have_at_most_10_lines() -> None:
    assert statistics.median(lines_of_functions().values()) <= MAX_MEDIAN


def test_a_folder_has_at_most_12_python_files() -> None:
    folders = Counter(name_of(path.parent) for path in FILES)
    assert {folder: n for folder, n in folders.items() if n > MAX_FILES} == {}


def test_no_modules_import_each_other_in_a_circle() -> None:
    TopologicalSorter({module_of(path): set(imports_of(path)) for path in FILES}).prepare()


def test_an_init_file_is_a_docstring() -> None:
    for path in HOOKS.rglob("__init__.py"):
        assert len(path.read_text("utf-8").splitlines()) <= 1, name_of(path)


def test_nothing_is_called_after_no_purpose() -> None:
    drawers = {"common", "helper", "helpers", "manager", "misc", "shared", "util", "utils"}
    assert {name_of(path) for path in FILES if path.stem in drawers} == set()


def test_no_function_is_more_complex_than_10() -> None:
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "C901"]
    limit = f"lint.mccabe.max-complexity = {MAX_COMPLEXITY}"
    done = subprocess.run(
        [*command, "--config", limit, "--output-format", "concise", str(HOOKS)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
