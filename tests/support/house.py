"""The rules of the house for a project: short files and functions, a map, no mutable globals.

Each function takes the folder of a project, and returns what breaks its rule.
"""

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import median

from tests.support.rendering import OWNED

FILES, LINES = 12, 200  # in a folder, in a file
MEDIAN, LONGEST, COMPLEXITY = 10, 35, 10  # of functions
MAP = "AGENTS.md"
# One client for the whole process: building it takes calls to the workspace.
CACHED = {"agent_server/server/workspace.py"}
CACHES = {"cache", "lru_cache", "cached"}
MUTABLE = {
    "list", "dict", "set", "bytearray", "defaultdict", "deque", "Counter", "OrderedDict",
    "WeakSet", "WeakKeyDictionary", "WeakValueDictionary", "Queue", "Lock", "Event", "Semaphore",
}  # fmt: skip
MUTATORS = {
    "append", "extend", "insert", "remove", "pop", "clear", "add", "discard", "update",
    "setdefault", "popitem", "sort", "reverse",
}  # fmt: skip
Function = ast.FunctionDef | ast.AsyncFunctionDef


def crowded_folders(project: Path) -> list[str]:
    """Return the folders of the server with too many Python files; `__init__.py` counts."""
    files = Counter(path.parent for path in _server(project))
    crowded = [(folder, number) for folder, number in files.items() if number > FILES]
    return [f"{_at(project, folder)}: {number} Python files" for folder, number in crowded]


def long_files(project: Path) -> list[str]:
    """Return the Python files with too many lines."""
    lengths = {path: len(_read(path).splitlines()) for path in sorted(project.rglob("*.py"))}
    return [f"{_at(project, path)}: {n} lines" for path, n in lengths.items() if n > LINES]


def long_functions(project: Path) -> list[str]:
    """Return the functions with too many lines, and the median of all when it is too high."""
    found = [
        (f"{_at(project, path)}: {name}", length)
        for path in _server(project)
        for name, length in _functions(_read(path))
    ]
    middle = median(length for _, length in found)
    long = [f"{name} has {length} lines" for name, length in found if length > LONGEST]
    return [*long, *([f"the median function has {middle} lines"] if middle > MEDIAN else [])]


def complex_functions(folder: Path) -> list[str]:
    """Return the functions that are too complex, in all projects below a folder at once."""
    done = subprocess.run(
        [
            sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "C901",
            "--config", f"lint.mccabe.max-complexity={COMPLEXITY}", "--output-format", "json",
            str(folder),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = json.loads(done.stdout)
    return [f"{_at(folder, Path(each['filename']))}: {each['message']}" for each in found]


def modules_missing_on_the_map(project: Path) -> list[str]:
    """Return the modules of the server that the map does not name."""
    named = {place for name in _named(project) for place in _places(project, name)}
    modules = [path for path in _server(project) if path.name != "__init__.py"]
    return [_at(project, path) for path in modules if path not in named]


def files_only_on_the_map(project: Path) -> list[str]:
    """Return the Python files and the folders that the map names and the project lacks."""
    names = _named(project)
    return [name for name in names if not any(p.exists() for p in _places(project, name))]


def mutable_globals(project: Path) -> list[str]:
    """Return what lives as long as the process and changes: globals and caches.

    What the owner's files hold is the owner's.
    """
    names = {_at(project, path): path for path in _server(project)}
    return [
        f"{name}: {problem}"
        for name, path in names.items()
        if name not in OWNED
        for problem in _mutable(_read(path), name in CACHED)
    ]


def _server(project: Path) -> list[Path]:
    return sorted((project / "agent_server").rglob("*.py"))


def _at(project: Path, path: Path) -> str:
    return path.relative_to(project).as_posix()


def _read(path: Path) -> str:
    return path.read_text("utf-8")


@cache
def _functions(source: str) -> list[tuple[str, int]]:
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, Function)]
    return [(node.name, (node.end_lineno or node.lineno) - node.lineno) for node in nodes]


def _named(project: Path) -> list[str]:
    """Return the Python files that the map names, and the folders that it has in backticks."""
    text = _read(project / MAP)
    return [*re.findall(r"[\w./-]+\.py\b", text), *re.findall(r"`([\w./-]+/)`", text)]


def _places(project: Path, name: str) -> tuple[Path, Path]:
    return project / name, project / "agent_server" / name


@cache
def _mutable(source: str, cached: bool) -> list[str]:
    tree = ast.parse(source)
    return [
        *(f"global {', '.join(n.names)}" for n in ast.walk(tree) if isinstance(n, ast.Global)),
        *(f"{name} can change" for name in _assigned(tree)),
        *(f"{name} changes" for name in _changed(tree)),
        *(f"{name} is cached" for name in _cached(tree) if not cached),
    ]


def _assigned(tree: ast.Module) -> Iterator[str]:
    """Yield the module's names that begin empty, or as something to fill or to wait for."""
    for name, value in _globals(tree):
        empty = isinstance(value, ast.List | ast.Dict) and not ast.unparse(value).strip("[]{}")
        if empty or (isinstance(value, ast.Call) and _word(value.func) in MUTABLE):
            yield name


def _changed(tree: ast.Module) -> Iterator[str]:
    """Yield the module's names whose value a function changes."""
    names = {name for name, _ in _globals(tree)}
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield from sorted(names & set(_changed_in(node)))


def _changed_in(function: Function) -> Iterator[str]:
    own = {a.arg for a in ast.walk(function.args) if isinstance(a, ast.arg)}
    own |= {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    for node in ast.walk(function):
        changed: ast.expr | None = None
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            changed = node.value
        elif isinstance(node, ast.Call) and _word(node.func) in MUTATORS:
            changed = node.func.value if isinstance(node.func, ast.Attribute) else None
        if isinstance(changed, ast.Name) and changed.id not in own:
            yield changed.id


def _globals(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, node.value
        elif isinstance(node, ast.Assign):
            yield from ((t.id, node.value) for t in node.targets if isinstance(t, ast.Name))


def _cached(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, Function) and any(_word(d) in CACHES for d in node.decorator_list):
            yield node.name


def _word(node: ast.expr) -> str:
    """Return the last name of an expression: `cache` of `functools.cache` and of `cache(...)`."""
    if isinstance(node, ast.Call):
        return _word(node.func)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
